"""The videos of a run spread over several devices, one process for each."""

import multiprocessing
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from typing import TypeAlias

import torch

from qcen_core.errors import QcenError
from qcen_core.inference.earlier_run import VideoFiles
from qcen_core.inference.inputs import InputSet
from qcen_core.inference.options import InferOptions, choose_device
from qcen_core.inference.segment_inputs import OnVideoFrame, Segmented, segment_inputs
from qcen_core.model.published.load import load_any_checkpoint

_PATIENCE = 0.5  # seconds after which it is looked whether all processes still live

# What a process tells: the place of a video, frames done and their total; what came of a video; or why it gave up.
_Message: TypeAlias = "tuple[int, int, int | None] | Segmented | QcenError"


def segment_in_processes(
    devices: Sequence[str],
    weights: str,
    inputs: InputSet,
    files: Sequence[VideoFiles],
    overlay: Path | None,
    options: InferOptions,
    on_frame: OnVideoFrame | None = None,
) -> Segmented:
    """As `segment_inputs`, but each process takes the next video as soon as it is done with one.

    Args:
        devices: a process for each, named as torch names them.
        weights: what every process loads.
        inputs: what to read.
        files: where each video's log goes.
        overlay: a folder for an MP4 a video, `None` for none.
        options: choices of the run; their device does not count.
        on_frame: as in `segment_inputs`; called in this process.

    Raises:
        QcenError: of a video, where the others are nothing without it; or a process died.
    """
    context = multiprocessing.get_context("spawn")
    places: Queue[int | None] = context.Queue()
    said: Queue[_Message] = context.Queue()
    for place in (*range(len(inputs.videos)), *(None for _ in devices)):
        places.put(place)
    on_cpu = sum(device == "cpu" for device in devices)
    threads = max(1, torch.get_num_threads() // on_cpu) if on_cpu else None
    given = (weights, inputs, tuple(files), overlay, options, places, said, threads)
    processes = [context.Process(target=_work, args=(device, *given), daemon=True) for device in devices]
    for process in processes:
        process.start()
    done, videos = Segmented(), len(inputs.videos)
    try:
        while videos:
            match _next_message(said, processes):
                case Segmented() as segmented:
                    done.take(segmented)
                    videos -= 1
                case QcenError() as error:
                    raise error
                case place, frame, frame_count:
                    if on_frame is not None:
                        on_frame(place, frame, frame_count)
        for process in processes:
            process.join()
    finally:
        for process in processes:
            process.terminate()
            process.join()
    return done


def _next_message(said: "Queue[_Message]", processes: Sequence[BaseProcess]) -> _Message:
    while True:
        died = next((process for process in processes if process.exitcode), None)
        try:
            return said.get(timeout=_PATIENCE if died is None else 0)
        except Empty:
            if died is not None:
                return QcenError(
                    f"a process ended with code {died.exitcode}",
                    hint="it may have run out of memory: use fewer processes or a smaller --imgsz; --resume goes on",
                )


def _work(
    device: str,
    weights: str,
    inputs: InputSet,
    files: tuple[VideoFiles, ...],
    overlay: Path | None,
    options: InferOptions,
    places: "Queue[int | None]",
    said: "Queue[_Message]",
    threads: int | None,
) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        checkpoint = load_any_checkpoint(weights, choose_device(device))
        while (place := places.get()) is not None:
            one = replace(inputs, videos=(inputs.videos[place],))
            tell = partial(_tell, said, place)
            said.put(segment_inputs(checkpoint, one, (files[place],), overlay, options, tell))
    except QcenError as error:
        said.put(error)
    except KeyboardInterrupt:  # the first process was told, too, and says so
        return


def _end_with_parent() -> None:
    """Nobody writes on after the first process was killed: the run may be gone on with at any time."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _tell(said: "Queue[_Message]", place: int, _: int, frame: int, frame_count: int | None) -> None:
    said.put((place, frame, frame_count))
