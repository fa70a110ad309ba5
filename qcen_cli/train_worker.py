"""One of the processes that `qcen train` starts; errors go back to the command, which shows the first of them."""

import json
import signal
import sys
import traceback
from pathlib import Path
from types import TracebackType

from qcen_cli.train import train_here
from qcen_core.errors import QcenError


def main(job: Path) -> None:
    """Trains as the file says that the command wrote: configuration, folder of the run, and the flags."""
    from qcen_core.config import config_from_dict
    from qcen_core.training.launch import INTERRUPTED, stop_signals, tell_launcher

    told = json.loads(job.read_text(encoding="utf-8"))
    if not told["debug"]:
        sys.excepthook = leave_to_launcher
    try:
        config = config_from_dict(told["config"], str(job))
        train_here(config, Path(told["run"]), resume=told["resume"], as_json=told["json"])
    except KeyboardInterrupt:
        for number in stop_signals():  # the launcher sends them to what is left of a run
            signal.signal(number, signal.SIG_IGN)
        sys.exit(INTERRUPTED)
    except (QcenError, OSError) as error:
        if told["debug"]:
            traceback.print_exc()
        tell_launcher(error)
        sys.exit(error.exit_code if isinstance(error, QcenError) else QcenError.exit_code)


def leave_to_launcher(_kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
    """Stands in for the traceback of an error that nobody foresaw; Python then exits with 1."""
    from qcen_core.training.launch import tell_launcher

    tell_launcher(error)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
