"""Models of the Hugging Face hub, `hf:owner/name`, through its own client and cache."""

from pathlib import Path

from qcen_core.errors import InputError

PREFIX = "hf:"


def is_hub_name(source: str | Path) -> bool:
    """Whether a source is a model of the hub, such as `hf:facebook/mask2former-swin-tiny-coco-instance`."""
    return str(source).startswith(PREFIX)


def download(source: str) -> Path:
    """The folder of a model of the hub, from the cache or from the network.

    Args:
        source: `hf:owner/name`.

    Raises:
        InputError: there is no such model, or no network; says what to get and where to put it.
    """
    name = source.removeprefix(PREFIX)
    from huggingface_hub import snapshot_download  # it takes a second, and few need it

    try:
        folder = Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors"]))
        if not any(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(name, allow_patterns=["*.json", "*.bin"]))
    except (OSError, RuntimeError, ValueError) as error:
        raise _by_hand(name, str(error).strip().splitlines()[0] if str(error).strip() else "no answer") from None
    return folder


def _by_hand(name: str, reason: str) -> InputError:
    return InputError(
        f"the model '{name}' could not be had from the Hugging Face hub: {reason}",
        hint=f"get config.json and model.safetensors of https://huggingface.co/{name} into a folder, and name that",
    )
