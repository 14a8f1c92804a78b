"""One round through Ray Data: chunks in, answers out, and no wait without a limit.

Ray Data is read in a thread beside, so that this one can give up, whatever Ray waits for.
"""

from __future__ import annotations

import gc
import logging
import pickle
import queue
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from copperline.cluster import explained
from copperline.cluster.nodes import nodes_alive
from copperline.errors import ClusterError, CopperlineError
from copperline.inspection.batch import Outcome
from copperline.inspection.ray_worker import BOARDS, OUTCOMES, Answer, Chunk, Inspector, Job

# How often is looked whether the limits are past.
_LOOK_S = 1.0
# Answers that may wait to be written; then Ray Data waits.
_WAITING = 8
# How long Ray Data may take to end its work when nobody waits for it any more. It looks some ten times a second, and
# gives its loop two seconds.
_END_S = 10.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How long is waited.

    Attributes:
        start_s: for all workers to have started, seconds.
        answer_s: from one answer to the next, seconds. A chunk is 32 boards or 32 MiB of files at most.
    """

    start_s: float = 300.0
    answer_s: float = 1800.0


class WorkerLostError(Exception):
    """A worker or its node ended while it had work: another round may do it.

    Attributes:
        cause: what Ray raised.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


def cpus_alive() -> int:
    """CPUs of the nodes that are alive."""
    return int(sum(node.cpus for node in nodes_alive()))


def run_round(
    job: Job, chunks: Sequence[Chunk], workers: int, in_flight: int, limits: Limits
) -> Iterator[tuple[tuple[int, Outcome], ...]]:
    """The answers to the chunks as they come, until all are there.

    Raises:
        WorkerLostError: a worker was lost. What it and the others had in work has no answer.
        CopperlineError: what ended the round otherwise.
    """
    # Ray Data ends workers by forgetting them. What it raised when one was lost holds the frames that it passed
    # through, and those hold it and the other workers: until such a ring is collected, they keep their CPUs.
    gc.collect()
    answers: queue.Queue[bytes | BaseException | None] = queue.Queue(_WAITING)
    stop = threading.Event()
    with _quiet_data_context(workers, limits):
        data = _data_set(job, chunks, workers, in_flight)
    reader = threading.Thread(target=_read, args=(data, answers, stop), name="ray-data", daemon=True)
    reader.start()
    try:
        deadline = time.monotonic() + limits.start_s + limits.answer_s
        while (pickled := _next(answers, reader, deadline, limits, workers)) is not None:
            answer: Answer = pickle.loads(pickled)
            if isinstance(answer, CopperlineError):
                raise answer
            yield answer
            deadline = time.monotonic() + limits.answer_s
    finally:
        stop.set()
        reader.join(_END_S)


def _next(
    answers: queue.Queue[bytes | BaseException | None],
    reader: threading.Thread,
    deadline: float,
    limits: Limits,
    workers: int,
) -> bytes | None:
    """The next answer; None: that was the last."""
    while True:
        try:
            item = answers.get(timeout=_LOOK_S)
        except queue.Empty:
            if time.monotonic() > deadline or (not reader.is_alive() and answers.empty()):
                raise ClusterError(
                    f"expected an answer of a worker within {limits.answer_s:.0f} s, found none",
                    fix="look at the cluster with `ray status`, and start the command again: it goes on where it was",
                ) from None
            continue
        if not isinstance(item, BaseException):
            return item
        if not isinstance(item, Exception):
            raise item
        if _is_loss(item, workers):
            raise WorkerLostError(item) from item
        raise explained(item) from item


def _is_loss(error: BaseException, workers: int) -> bool:
    from ray import exceptions

    if isinstance(error, exceptions.GetTimeoutError) and cpus_alive() < workers:
        return True  # a node was lost that the round was planned with, and its workers never started

    lost = (
        exceptions.RayActorError,
        exceptions.WorkerCrashedError,
        exceptions.OutOfMemoryError,
        exceptions.NodeDiedError,
        exceptions.ObjectLostError,
        exceptions.ObjectFetchTimedOutError,
        exceptions.TaskUnschedulableError,
        exceptions.ActorUnschedulableError,
    )
    return isinstance(error, lost)


def _data_set(job: Job, chunks: Sequence[Chunk], workers: int, in_flight: int) -> Any:
    import ray
    from ray.util.annotations import RayDeprecationWarning

    boards = ray.data.from_items(
        [{BOARDS: pickle.dumps(chunk)} for chunk in chunks],
        override_num_blocks=len(chunks),  # a chunk is a task
    )
    with warnings.catch_warnings():
        # `max_restarts` is to be without a way to say it from Ray 2.64 on, see pyproject.toml.
        warnings.simplefilter("ignore", RayDeprecationWarning)
        return boards.map_batches(
            Inspector,
            fn_constructor_args=(job,),
            compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=in_flight),
            batch_size=None,
            num_cpus=1,
            # A worker that Ray starts again would wait for a place on a cluster that has lost one, and its boards too.
            max_restarts=0,
        )


def _read(data: Any, answers: queue.Queue[bytes | BaseException | None], stop: threading.Event) -> None:
    """Hands over each answer, then None, or what Ray Data raised."""

    def put(item: bytes | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                answers.put(item, timeout=_LOOK_S)
            except queue.Full:
                continue
            return True
        return False

    last: BaseException | None = None
    _of_this_thread.stop = stop
    try:
        for batch in data.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            if not all(put(pickled) for pickled in batch.column(OUTCOMES).to_pylist()):
                return  # leaving the loop ends the work on the cluster
    except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
        last = error
    put(last)


_of_this_thread = threading.local()


class _EndsWithItsRound:
    """Ends Ray Data's work when its round is over: a callback of Ray Data, named in its context, made by it.

    Nothing else reaches the threads of Ray Data while they wait for a worker. Left to themselves they outlive the
    session, and ask a Ray that is gone.
    """

    def before_execution_starts(self, executor: Any) -> None:
        self._stop: threading.Event = _of_this_thread.stop  # the reader begins the work

    def on_execution_step(self, executor: Any) -> None:
        if self._stop.is_set():
            raise _RoundIsOver

    def after_execution_succeeds(self, executor: Any) -> None: ...

    def after_execution_fails(self, executor: Any, error: Exception) -> None: ...


class _RoundIsOver(Exception):
    """What the reader ends with; nobody waits for it."""


@contextmanager
def _quiet_data_context(workers: int, limits: Limits) -> Iterator[None]:
    """Settings of Ray Data for a data set that is made inside: what it keeps, it keeps from here."""
    from ray._private.log import PlainRayHandler
    from ray.data import DataContext

    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, PlainRayHandler):  # its console's; neither its log file's nor anybody else's
            handler.setLevel(logging.CRITICAL + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a copy sets what Ray Data would rather not have set
        context = DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.use_ray_tqdm = False
    context.print_on_execution_start = False
    context.enable_auto_log_stats = False
    context.memory_usage_poll_interval_s = None
    context.issue_detectors_config.detectors = []
    callbacks: list[Any] = [*context.custom_execution_callback_classes, _EndsWithItsRound]
    context.custom_execution_callback_classes = callbacks
    context.wait_for_min_actors_s = max(1, int(limits.start_s))
    context.execution_no_progress_timeout_s = limits.answer_s
    # A few lost workers of many do not end the round; all of them do, for each had a chunk at least.
    context.max_errored_blocks = workers // 4
    with DataContext.current(context):
        yield
