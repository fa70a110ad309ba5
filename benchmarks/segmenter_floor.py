"""Where the time of a pass goes, and the least it could take: its convolutions and matrix products alone."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

aten = torch.ops.aten
PRODUCTS = (
    aten.convolution.default,
    aten.convolution_backward.default,
    aten.mm.default,
    aten.addmm.default,
    aten.bmm.default,
    aten.baddbmm.default,
    aten._scaled_dot_product_flash_attention_for_cpu.default,
    aten._scaled_dot_product_flash_attention_for_cpu_backward.default,
    aten.conv2d.default,  # these in inference mode only, elsewhere they are made of the above
    aten.linear.default,
    aten.matmul.default,
    aten.scaled_dot_product_attention.default,
)
PRODUCT_NAMES = ("mkldnn_convolution", "convolution_backward", "mm", "addmm", "bmm", "baddbmm", "flash_attention")


class Recorded(TorchDispatchMode):
    """Keeps the calls of convolutions and matrix products, with tensors of the same layout for their arguments."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # PyTorch's
        self.calls: list[tuple[Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        if func in PRODUCTS:
            self.calls.append(tree_map_only(Tensor, like, (func, args, kwargs or {})))
        return func(*args, **(kwargs or {}))


def like(tensor: Tensor) -> Tensor:
    """Where and how a tensor lies, without its content."""
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def filled(tensor: Tensor) -> Tensor:
    """A tensor of the same layout with content, rows that lie on each other included."""
    length = 1 + sum((side - 1) * stride for side, stride in zip(tensor.shape, tensor.stride(), strict=True))
    values = torch.empty(max(length, 1), dtype=tensor.dtype)
    values = values.zero_() if tensor.dtype == torch.bool else values.normal_(std=0.1)
    return values.as_strided(tensor.shape, tensor.stride())


def floor_seconds(run: Callable[[], object]) -> float:
    """Seconds of the products of a pass alone, best of three for each."""
    with Recorded() as recorded:
        run()
    total = 0.0
    with torch.inference_mode():
        for func, args, kwargs in recorded.calls:
            given, named = tree_map_only(Tensor, filled, (args, kwargs))
            total += min(_seconds(func, given, named) for _ in range(3))
    return total


def _seconds(func: Any, args: Any, kwargs: Any) -> float:  # noqa: ANN401
    started = time.perf_counter()
    func(*args, **kwargs)
    return time.perf_counter() - started


def shares(run: Callable[[], object]) -> tuple[float, list[tuple[str, float]]]:
    """Share of the time that products take, and the six operators that take most of the rest, with their shares."""
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        run()
    times = {event.key: event.self_cpu_time_total for event in recorded.key_averages()}
    total = sum(times.values())
    products = sum(value for key, value in times.items() if any(name in key for name in PRODUCT_NAMES))
    rest = [(key, value) for key, value in times.items() if not any(name in key for name in PRODUCT_NAMES)]
    most = sorted(rest, key=lambda item: -item[1])[:6]
    return products / total, [(key, value / total) for key, value in most]
