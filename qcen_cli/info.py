"""`qcen info`: what is installed, or what a checkpoint holds."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from qcen_cli import console, options

PACKAGES = ("qcen", "torch", "torchvision", "timm", "lightning-fabric", "numpy", "opencv-python", "av", "pycocotools")


def info(
    checkpoint: Annotated[
        Path | None, typer.Argument(metavar="CHECKPOINT", help="A checkpoint to describe.", show_default=False)
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Show versions and devices, or what a checkpoint holds."""
    if checkpoint is None:
        described = _describe_machine()
    else:
        from qcen_core.model.checkpoint import describe

        described = describe(checkpoint)
    if as_json:
        console.json_object(described)
    else:
        console.result(_as_text(described))


def _describe_machine() -> dict[str, Any]:
    import platform
    from importlib.metadata import version

    from torch import backends, cuda

    devices = [f"cpu ({os.cpu_count()} cores)"]
    for index in range(cuda.device_count()):
        properties = cuda.get_device_properties(index)
        devices.append(f"cuda:{index} ({properties.name}, {properties.total_memory / 2**30:.0f} GiB)")
    if backends.mps.is_available():
        devices.append("mps")
    return {
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "devices": devices,
        "codecs": {name: _codec_modes(name) for name in ("h264", "libx264", "hevc", "vp9", "av1", "aac")},
    }


def _codec_modes(name: str) -> list[str]:
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    modes: list[str] = []
    with suppress(UnknownCodecError):
        Codec(name, "r")
        modes.append("reads")
    with suppress(UnknownCodecError):
        Codec(name, "w")
        modes.append("writes")
    return modes


def _as_text(value: object, depth: int = 0) -> str:
    """Nested values as indented lines."""
    space = "  " * depth
    if isinstance(value, dict):
        lines = []
        for key, inner in value.items():
            nested = isinstance(inner, dict) and inner
            text = f"\n{_as_text(inner, depth + 1)}" if nested else f" {_as_text(inner)}"
            lines.append(f"{space}{key}:{text}")
        return "\n".join(lines)
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value) or "-"
    return "-" if value is None else str(value)
