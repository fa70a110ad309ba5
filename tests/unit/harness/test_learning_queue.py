import dataclasses

import pytest
from learning_results import HASHES, made_result, store

from benchmarks.learning_queue import Job, is_done, ordered_runs, work_off
from benchmarks.learning_rows import benchmark_of, row_config, rows_of
from qcen_core.errors import InputError

TRIAL = benchmark_of("trial")
STANDARD = benchmark_of("shapes_standard")


def made_job(name, seed=0, **changes):
    job = Job("trial", name, seed, "shapes_tiny", [], "training", "test", HASHES, "run", "nowhere.json")
    return dataclasses.replace(job, **changes)


class FakeWorker:
    """Works for some polls, then ends with a code; notes when it is asked to stop."""

    def __init__(self, polls, code=0, *, obeys=True):
        self.polls, self.code, self.obeys, self.asked = polls, code, obeys, []

    def poll(self):
        self.polls -= 1
        return self.code if self.polls < 0 else None

    def terminate(self):
        self.asked.append("terminate")
        if self.obeys:
            self.polls = 0

    def kill(self):
        self.asked.append("kill")
        self.polls = 0


class Shop:
    """Starts fake workers and keeps the books."""

    def __init__(self, workers):
        self.workers, self.events, self.working, self.most = workers, [], set(), 0

    def start(self, job):
        self.working.add(job.name)
        self.most = max(self.most, len(self.working))
        return self.workers[job.name]

    def tell(self, event):
        if event.kind != "working":
            self.events.append((event.kind, event.job.name, event.left))
        if event.kind not in ("working", "start"):
            self.working.discard(event.job.name)


def test_important_rows_come_first_then_seeds_and_one_experiment_once():
    runs = [(row.name, seed) for row, seed in ordered_runs(STANDARD, rows_of(STANDARD), [0, 1])]
    assert runs[:8] == [(name, seed) for seed in (0, 1) for name in ("mask+id", "mask", "box", "qcen")]
    assert len(set(runs)) == len(runs)
    assert ("qcen-iqc", 0) not in runs
    assert runs.index(("box+qeml", 1)) < runs.index(("box+intra", 0))


def test_a_row_is_as_important_as_what_it_stands_for():
    rows = rows_of(STANDARD, ("box+intra", "qcen-iqc"))
    assert [(row.name, seed) for row, seed in ordered_runs(STANDARD, rows, [0])] == [("box+qeml", 0), ("box+intra", 0)]


def test_jobs_run_side_by_side_in_their_order():
    jobs = [made_job("box", seed) for seed in range(5)]
    shop = Shop({job.name: FakeWorker(polls) for job, polls in zip(jobs, (3, 0, 2, 5, 1), strict=True)})
    assert work_off(jobs, 2, shop.start, shop.tell, pause=lambda: None) == []
    assert shop.most == 2
    assert [name for kind, name, _ in shop.events if kind == "start"] == [job.name for job in jobs]
    assert sorted(name for kind, name, _ in shop.events if kind == "done") == [job.name for job in jobs]
    assert shop.events[-1][2] == 0


def test_a_failure_does_not_stop_the_others():
    jobs = [made_job("box", seed) for seed in range(3)]
    shop = Shop({job.name: FakeWorker(1, code) for job, code in zip(jobs, (0, 2, 0), strict=True)})
    assert work_off(jobs, 1, shop.start, shop.tell, pause=lambda: None) == [jobs[1]]
    assert [kind for kind, _, _ in shop.events].count("done") == 2


def interrupting(times):
    left = list(times)

    def pause():
        if left and left.pop(0):
            raise KeyboardInterrupt

    return pause


def test_an_interrupt_lets_the_jobs_at_work_save_and_starts_no_other():
    jobs = [made_job("box", seed) for seed in range(4)]
    shop = Shop({job.name: FakeWorker(99) for job in jobs})
    with pytest.raises(KeyboardInterrupt):
        work_off(jobs, 2, shop.start, shop.tell, interrupting([False, True]))
    assert [shop.workers[job.name].asked for job in jobs] == [["terminate"], ["terminate"], [], []]
    assert [event[:2] for event in shop.events[-2:]] == [("stopped", jobs[0].name), ("stopped", jobs[1].name)]


def test_a_second_interrupt_does_not_wait():
    job = made_job("box")
    shop = Shop({job.name: FakeWorker(10**9, obeys=False)})
    with pytest.raises(KeyboardInterrupt):
        work_off([job], 1, shop.start, shop.tell, interrupting([True, False, True]))
    assert shop.workers[job.name].asked == ["terminate", "kill"]


def state(tmp_path, *, extra=(), redo=False, hashes=HASHES):
    row = rows_of(TRIAL, ("qcen",))[0]
    job = made_job("qcen", 1, hashes=hashes, result=str(tmp_path / "trial" / "qcen-seed1.json"))
    return is_done(job, row_config(TRIAL, row, 1, extra), redo=redo)


def test_a_run_without_a_result_is_to_be_done_and_one_with_it_is_not(tmp_path):
    assert not state(tmp_path)
    store(tmp_path, made_result(TRIAL, "qcen", 1, 0.5))
    assert state(tmp_path)
    assert state(tmp_path, redo=True), "what has not changed is not done again"
    assert state(tmp_path, extra=("train.log_every=7",)), "how often it logs changes nothing"


def test_a_changed_configuration_is_told_and_done_again_only_if_asked_for(tmp_path):
    store(tmp_path, made_result(TRIAL, "qcen", 1, 0.5))
    change = ("optim.learning_rate=0.25",)
    with pytest.raises(InputError, match=r"qcen-seed1\.json.*optim\.learning_rate: 0\.0008 -> 0\.25"):
        state(tmp_path, extra=change)
    assert not state(tmp_path, extra=change, redo=True)


def test_other_clips_are_told(tmp_path):
    store(tmp_path, made_result(TRIAL, "qcen", 1, 0.5))
    with pytest.raises(InputError, match="clips for test: bbbbbbbb -> cccccccc"):
        state(tmp_path, hashes=HASHES | {"test": "c" * 64})
