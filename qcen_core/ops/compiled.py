"""Loops that run as machine code."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def compiled(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """The same function of numbers and arrays, translated to machine code at its first call.

    The code is kept on the disk for the next time, if there is a place that can be written to.
    """
    try:
        translated = numba.njit(function, cache=True)
    except RuntimeError:  # there is no such place
        translated = numba.njit(function)
    return cast("Callable[Arguments, Result]", translated)
