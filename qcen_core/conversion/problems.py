"""What is wrong with annotations and their frames, as data: a reader goes on, so that a person sees all at once."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from qcen_core.errors import InputError

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: under which it is counted, such as "zero-area box".
        place: file and record.
        cause: in one line.
        hint: what to do, in one line.
        video: index of the video that cannot be used as a whole; `None` where only a label or a record is lost.
        loses_labels: whether training would lose labels; else it is for information.
        boxes: how many boxes are lost with it, as far as they can be counted.
    """

    kind: str
    place: str
    cause: str
    hint: str
    video: int | None = None
    loses_labels: bool = True
    boxes: int = 1

    def error(self, others: int) -> InputError:
        """The problem as an error that tells how many others there are."""
        hint = f"{self.hint}; or drop what is wrong with --skip-bad"
        if others:
            hint += f" ({others} more: see them all with --check)"
        return InputError(self.cause, place=self.place, hint=hint)


def count_problems(problems: Iterable[Problem]) -> dict[str, int]:
    """How many labels or videos each kind costs, the most frequent kind first."""
    return dict(Counter(problem.kind for problem in problems if problem.loses_labels).most_common())


def count_boxes(problems: Iterable[Problem]) -> dict[str, int]:
    """How many boxes each kind costs, in the order of `count_problems`."""
    listed = [problem for problem in problems if problem.loses_labels]
    return {kind: sum(p.boxes for p in listed if p.kind == kind) for kind in count_problems(listed)}
