"""A process that measures one part of a results file for another: `python -m qcen_core.evaluation.worker`."""

import pickle
import signal
import sys

from qcen_core.evaluation.measurement import Measurement
from qcen_core.evaluation.result_parts import UnusualResultsError, measure_part


def main() -> None:
    """Read what to do from standard input, and write what was measured to standard output, both pickled."""
    # Who breaks off the whole ends this process, too, and needs no second traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        part, parts = pickle.load(sys.stdin.buffer)  # noqa: S301  # what we wrote ourselves
        path, truth = pickle.load(sys.stdin.buffer)  # noqa: S301
    except EOFError:  # there was nothing to do after all
        return
    found: Measurement | UnusualResultsError | None
    try:
        found = measure_part(path, truth, part, parts)
    except UnusualResultsError as error:
        found = error
    pickle.dump(found, sys.stdout.buffer, protocol=pickle.HIGHEST_PROTOCOL)


if __name__ == "__main__":
    main()
