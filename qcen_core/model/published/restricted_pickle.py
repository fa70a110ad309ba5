"""Pickles of arrays, read without running anything that they hold."""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from qcen_core.errors import InputError

# What torch.save wrote before it wrote zip files begins with this number.
TORCH_MAGIC = 0x1950A86A20F9469CFC6C
DAMAGED = "this is no file of weights, or it is damaged"
HINT = "get the file again; known are safetensors, pickles of arrays (.pkl) and PyTorch files (.pth, .pt, .bin)"


class _Forbidden(pickle.UnpicklingError):
    """The pickle asks for something that is neither an array nor a plain container."""


def read_pickle(path: Path) -> object:
    """The containers and arrays of a pickle, or of a PyTorch file.

    Args:
        path: a plain pickle, also one of Python 2, or a file of `torch.save`, zipped or not.

    Raises:
        InputError: the file is damaged or no pickle, or it would run code, which it never gets to do.
    """
    try:
        with path.open("rb") as file:
            is_torch = file.read(2) == b"PK"
            file.seek(0)
            first = None if is_torch else _ArrayUnpickler(file).load()
    except _Forbidden as error:
        raise _refusal(str(error), path) from None
    except Exception:  # noqa: BLE001  # a damaged pickle may raise anything
        raise InputError(DAMAGED, place=path, hint=HINT) from None
    return _read_torch(path) if is_torch or first == TORCH_MAGIC else first


def _read_torch(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        _, asked, name = str(error).partition("Unsupported global: GLOBAL ")
        if asked:
            raise _refusal(name.split()[0], path) from None
        raise InputError(DAMAGED, place=path, hint=HINT) from None
    except Exception:  # noqa: BLE001  # as above
        raise InputError(DAMAGED, place=path, hint=HINT) from None


def _refusal(name: str, path: Path) -> InputError:
    return InputError(
        f"the file asks to run '{name}', which weights have no need of; it was not run",
        place=path,
        hint="get the weights from a source you trust, best as safetensors",
    )


class _ArrayUnpickler(pickle.Unpickler):
    """Knows arrays and plain containers, and nothing else."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="latin1")  # Python 2 wrote array contents as strings

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        known = _KNOWN.get((module.replace("numpy.core", "numpy._core"), name))
        if known is None:
            raise _Forbidden(f"{module}.{name}")
        return known


def _empty_array(kind: object, shape: tuple[int, ...], letter: str | bytes) -> object:
    if kind is not np.ndarray:
        raise _Forbidden(str(kind))
    return np.ndarray(shape, letter.decode() if isinstance(letter, bytes) else letter)


def _array_of(buffer: bytes, dtype: "np.dtype[Any]", shape: tuple[int, ...], order: str) -> object:
    return np.frombuffer(buffer, dtype).reshape(shape, order="F" if order == "F" else "C")


def _scalar(dtype: "np.dtype[Any]", value: bytes | str) -> object:
    content = value.encode("latin1") if isinstance(value, str) else value
    return np.frombuffer(content, dtype)[0]


def _encoded(text: str, _encoding: str = "latin1") -> bytes:
    return text.encode("latin1")


_KNOWN: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy._core.multiarray", "_reconstruct"): _empty_array,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy._core.numeric", "_frombuffer"): _array_of,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _encoded,
    **{(module, kind.__name__): kind for module in ("builtins", "__builtin__") for kind in (set, frozenset, bytearray)},
}
