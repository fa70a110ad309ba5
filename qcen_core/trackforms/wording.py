"""Numbers in sentences."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun, e.g. `1 track`, `2 tracks`."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"
