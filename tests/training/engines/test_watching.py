import time

import pytest

from copperline.errors import DataError, TrainingError
from copperline.training.engines.reports import CheckpointKept, EpochDone, Failed, StepDone
from copperline.training.engines.watching import Watch, WorkersLost, with_restarts
from copperline.training.loop import Metrics


class Heard:
    def __init__(self) -> None:
        self.steps: list[int] = []
        self.epochs: list[int] = []

    def on_step(self, step: int, total_steps: int, loss: float) -> None:
        self.steps.append(step)

    def on_epoch(self, epoch: int, metrics: Metrics) -> None:
        self.epochs.append(epoch)


def test_an_epoch_is_told_once_and_a_step_as_often_as_it_is_done() -> None:
    heard = Heard()
    watch = Watch([heard], stall_s=60)
    watch.take([StepDone(1, 4, 0.5), StepDone(2, 4, 0.5), EpochDone(1, {})])
    watch.begin()
    watch.take([StepDone(2, 4, 0.5), EpochDone(1, {}), CheckpointKept(1, 0), StepDone(3, 4, 0.5), EpochDone(2, {})])
    assert heard.steps == [1, 2, 2, 3]
    assert heard.epochs == [1, 2]
    assert (watch.step, watch.epochs_kept) == (3, 1)


def test_silence_is_an_error_and_a_wait_for_a_place_is_not_silence() -> None:
    watch = Watch([], stall_s=0.05)
    watch.begin(wait_s=60)
    time.sleep(0.1)
    watch.require_progress()
    watch.take([StepDone(7, 9, 0.5)])
    time.sleep(0.1)
    with pytest.raises(TrainingError, match=r"stuck for 0 s after step 7; .*COPPERLINE_TRAINING_STALL_S"):
        watch.require_progress()


@pytest.mark.parametrize(
    ("failures", "died", "message"),
    [
        ([], "worker 1 of 2 was killed", "worker 1 of 2 was killed"),
        ([Failed(0, "WorkerLostError", "lost", consequence=True)], None, "worker 0 lost touch with another"),
        ([Failed(1, "OSError", "OSError: no route")], None, r"worker 1 failed \(OSError: no route; see LOG\)"),
        (
            [Failed(0, "WorkerLostError", "lost", consequence=True), Failed(1, "OSError", "OSError: no route")],
            None,
            "worker 1 failed",
        ),
        ([], None, "ended before their work did; see LOG"),
    ],
)
def test_what_may_not_repeat_itself_lets_the_workers_start_again(
    failures: list[Failed], died: str | None, message: str
) -> None:
    watch = Watch([], 60, failures)
    with pytest.raises(WorkersLost, match=message):
        raise watch.failure(died, "LOG")


def test_an_error_for_people_goes_before_all_that_it_brought_about() -> None:
    watch = Watch([], 60, [Failed(0, "WorkerLostError", "lost", consequence=True), Failed.of(1, DataError("no image"))])
    assert isinstance(watch.failure("worker 0 of 2 was killed", "LOG"), DataError)


def test_as_many_restarts_as_are_allowed_and_no_more() -> None:
    reasons: list[str | None] = []

    def attempt(reason: str | None) -> None:
        reasons.append(reason)
        if len(reasons) < 3:
            raise WorkersLost(f"loss {len(reasons)}")

    with_restarts(attempt, 2)
    assert reasons == [None, "loss 1 (failure 1 of at most 2)", "loss 2 (failure 2 of at most 2)"]
    reasons.clear()
    with pytest.raises(TrainingError, match=r"loss 2 \(failure 2, where at most 1 are allowed\); .* --resume"):
        with_restarts(attempt, 1)
    reasons.clear()
    with pytest.raises(TrainingError, match=r"loss 1 \(no restarts\)"):
        with_restarts(attempt, 0)
