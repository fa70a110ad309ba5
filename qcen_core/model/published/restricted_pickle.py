"""Pickles of arrays, read without running anything that they hold."""

import pickle
import re
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
            first = None if is_torch else _plain(_ArrayUnpickler(file).load())
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


class _Kind:
    """The kind of an array's numbers. NumPy's own would take any state that the file gives it, and believe it."""

    def __init__(self, letters: str | bytes, *_: object) -> None:
        self.letters = letters.decode() if isinstance(letters, bytes) else letters
        self.order: Any = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1].decode() if isinstance(state[1], bytes) else state[1]

    def of_numpy(self) -> "np.dtype[Any]":
        """The same kind to NumPy; a plain number, else it is an error."""
        if not re.fullmatch(r"[<>|=]?[biuf][1248]", self.letters) or self.order not in ("<", ">", "|", "="):
            raise ValueError(self.letters)
        return np.dtype(self.letters).newbyteorder(self.order)


class _Array:
    """An array that is on its way; `_plain` takes it out."""

    def __init__(self, kind: object, *_: object) -> None:
        if kind is not _Array:
            raise _Forbidden(str(kind))
        self.values: np.ndarray[Any, Any] = np.zeros(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, by_columns, content = state
        self.values = _values(content, kind, shape, "F" if by_columns else "C")


def _plain(value: Any) -> Any:  # noqa: ANN401
    """The same containers with arrays in them."""
    if isinstance(value, _Array):
        return value.values
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(item) for item in value)
    return value


def _values(content: bytes | str, kind: _Kind, shape: tuple[int, ...], order: str) -> "np.ndarray[Any, Any]":
    data = content.encode("latin1") if isinstance(content, str) else content
    return np.frombuffer(data, kind.of_numpy()).reshape(shape, order="F" if order == "F" else "C")


def _scalar(kind: _Kind, content: bytes | str) -> object:
    return _values(content, kind, (1,), "C")[0]


def _encoded(text: str, _encoding: str = "latin1") -> bytes:
    return text.encode("latin1")


_KNOWN: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy._core.numeric", "_frombuffer"): _values,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Kind,
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _encoded,
    **{(module, kind.__name__): kind for module in ("builtins", "__builtin__") for kind in (set, frozenset, bytearray)},
}
