"""The most memory that this process has held, read where Linux tells it."""

from pathlib import Path


def clear_peak() -> None:
    """Begin anew: what was held before does not count."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_bytes() -> int:
    """Since the start, or since `clear_peak`; `getrusage` would count what the process before `exec` held, too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * next(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmHWM:"))
