"""The most memory that something took: of a GPU as torch counts it, else of the process as the system counts it."""

import os
import sys
from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """Counts from when it is made; on the CPU it counts what is above what the process held then.

    Without Linux's account of a process it is the peak since the process began that counts, so that what is below an
    earlier peak is not seen.

    Args:
        device: whose memory.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.init()  # statistics are there only after it
            torch.cuda.reset_peak_memory_stats(device)
            self._before = 0
        else:
            self._before = _clear_peak()

    def peak(self) -> int:
        """Bytes held at most since the beginning."""
        if self._device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self._device))
        return max(peak_of_process() - self._before, 0)


def memory_of(device: torch.device) -> int:
    """Bytes that a GPU, or the machine, has in all."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _clear_peak() -> int:
    """Let the peak begin anew where that can be done; returns what it begins from."""
    try:
        _CLEAR.write_text("5", encoding="ascii")
    except OSError:
        return peak_of_process()
    return _from_status("VmRSS") or peak_of_process()


def peak_of_process() -> int:
    """Bytes that the process held at most, since it began or since the peak was last cleared."""
    return _from_status("VmHWM") or _largest_since_start()


def _from_status(row: str) -> int | None:
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{row}:")), None)


def _largest_since_start() -> int:
    if sys.platform == "win32":
        return 0
    import resource  # Unix only

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else 1024 * largest  # only there in bytes
