"""Many boards on a Ray cluster: actors inspect, and this process alone writes.

The boards go through Ray Data in chunks. A worker or node that is lost takes its chunks with it; what has no answer
then goes into another round, on the workers that are left. So this process decides what is tried again and how often,
and a board that ends each worker that touches it is found and skipped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from copperline.cluster import explained
from copperline.cluster.environment import raylet_messages_to
from copperline.errors import ClusterError, CopperlineError
from copperline.files import read_whole
from copperline.inspection.batch import BatchSummary, Outcome, Progress, Skipped, Tally
from copperline.inspection.detector import Detector
from copperline.inspection.pairs import ImagePair
from copperline.inspection.policy import DEFAULT_POLICY, CallPolicy
from copperline.inspection.ray_rounds import Limits, WorkerLostError, cpus_alive, run_round
from copperline.inspection.ray_worker import Chunk, Job, first_readable
from copperline.warehouse import InspectionRecord

WriteMany = Callable[[Sequence[InspectionRecord]], int]
"""Stores inspections in one transaction, and gives how many are new."""

# A chunk is a task: large enough that its overhead does not count, small enough that little is done twice when a worker
# is lost, and that all workers end at about the same time.
_BOARDS_IN_CHUNK = 32
_CHUNKS_OF_A_WORKER = 8
_BYTES_IN_CHUNK = 32 << 20
# A worker has one chunk in work and one waiting.
_IN_FLIGHT = 2
# Rounds in which a board was in flight when a worker was lost, before it is tried alone; and losses then.
_SUSPECTED, _CONVICTED = 2, 2
# Rounds one after another that end with a lost worker before any board is done: then it is not the boards.
_FRUITLESS = 5


def inspect_on_ray(
    detector: Detector,
    pairs: Sequence[ImagePair],
    write: WriteMany,
    *,
    workers: int,
    station_id: str,
    policy: CallPolicy = DEFAULT_POLICY,
    progress: Progress | None = None,
    limits: Limits | None = None,
) -> BatchSummary:
    """As `inspect_pairs`, by actors of the cluster that this process is connected to (`copperline.cluster`).

    Args:
        detector: model and operating point; its network is loaded anew in each actor, with one thread.
        pairs: the boards; each node must be able to read them.
        write: called with the rows of each chunk as it comes. When it raises, the batch ends; what is written stays.
        workers: actors, each with one CPU of the cluster; fewer if nodes are lost.
        limits: how long is waited for workers and boards.

    Returns:
        The summary. The same rows as without Ray but for their times, in another order.

    Raises:
        ClusterError: the workers do not start, no board is done in time, or workers are lost again and again.
        StageError: a node cannot reach the store that the boards are on.
        ModelError: the network fails on an image.
    """
    work = Work(dict(enumerate(pairs)))
    tally = Tally()
    job = _job(detector, policy, station_id, pairs)
    with raylet_messages_to(None):
        while work.missing:
            plan = work.plan(min(workers, cpus_alive()))
            try:
                for answer in run_round(job, plan.chunks, plan.workers, plan.in_flight, limits or Limits()):
                    _take(answer, write, tally)
                    work.done(place for place, _ in answer)
                    if progress is not None:
                        progress(len(pairs) - len(work.missing), len(pairs))
                if not plan.alone and any(place in work.missing for chunk in plan.chunks for place, _ in chunk):
                    raise WorkerLostError(_few_lost())
            except WorkerLostError as error:
                for pair in work.worker_lost(plan, error.cause):
                    tally.add(Skipped(pair.test_path, f"{pair.test_path}: {_KILLED}"))
    return tally.summary()


_KILLED = (
    f"ended its worker {_CONVICTED} times when it was inspected alone; it may need more memory than a worker has: "
    "inspect it without Ray, or give the nodes more memory"
)


def _few_lost() -> ClusterError:
    """Workers so few that the round went on without them."""
    return ClusterError("workers of the cluster were lost", fix="see `ray status`, and start the command again")


def _take(answer: Sequence[tuple[int, Outcome]], write: WriteMany, tally: Tally) -> None:
    records = [outcome for _, outcome in answer if not isinstance(outcome, Skipped)]
    if records:
        tally.new += write(records)
    for _, outcome in answer:
        tally.add(outcome)


def _job(detector: Detector, policy: CallPolicy, station_id: str, pairs: Sequence[ImagePair]) -> Job:
    return Job(
        model=read_whole(detector.model.path),
        model_path=str(detector.model.path),
        model_name=detector.name,
        model_version=detector.version,
        operating_point=detector.operating_point,
        tiling=detector.model.tiling,
        policy=policy,
        station_id=station_id,
        try_first=first_readable(pairs),
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """What a round does: chunks in order; `alone`: one board after another on one worker."""

    chunks: list[Chunk]
    workers: int
    in_flight: int
    alone: bool


class Work:
    """What is still to do, and which boards were in flight when workers were lost."""

    def __init__(self, missing: dict[int, ImagePair]) -> None:
        self.missing = missing
        self._suspected: Counter[int] = Counter()
        self._convicted: Counter[int] = Counter()
        self._fruitless = 0

    def plan(self, workers: int) -> Plan:
        if workers < 1:
            raise ClusterError(
                "expected a node with a CPU in the cluster, found none left",
                fix="look at it with `ray status`, add nodes, and start the command again: it goes on where it was",
            )
        suspects = [place for place in self.missing if self._suspected[place] >= _SUSPECTED]
        if suspects:
            return Plan([((place, self.missing[place]),) for place in suspects], 1, 1, alone=True)
        chunks = chunked(self.missing, workers, [place for place in self.missing if self._suspected[place]])
        return Plan(chunks, min(workers, len(chunks)), _IN_FLIGHT, alone=False)

    def done(self, places: Iterator[int]) -> None:
        for place in places:
            del self.missing[place]
            self._fruitless = 0

    def worker_lost(self, plan: Plan, cause: Exception) -> list[ImagePair]:
        """Notes who was in flight, and gives the boards to skip; raises ClusterError if nothing gets on."""
        self._fruitless += 1
        if self._fruitless >= _FRUITLESS:
            raise self._given_up(cause) from cause
        open_chunks = [chunk for chunk in plan.chunks if any(place in self.missing for place, _ in chunk)]
        if not plan.alone:
            # Chunks are given out in order, so those that were being worked on are among the first without an answer.
            in_flight = open_chunks[: plan.workers * plan.in_flight]
            self._suspected.update(place for chunk in in_flight for place, _ in chunk if place in self.missing)
            return []
        if not open_chunks:  # lost when it had nothing more to do
            return []
        ((culprit, pair),) = open_chunks[0]
        self._convicted[culprit] += 1
        if self._convicted[culprit] < _CONVICTED:
            return []
        del self.missing[culprit]
        return [pair]

    def _given_up(self, cause: Exception) -> CopperlineError:
        error = explained(cause)
        error.problem = f"{_FRUITLESS} times, workers were lost before a board was done; the last time {error.problem}"
        return error


def chunked(boards: dict[int, ImagePair], workers: int, single: Sequence[int] = ()) -> list[Chunk]:
    """The boards in chunks: at most 32 boards and 32 MiB of files in each, and some chunks for each worker.

    Those in `single` come first, each in a chunk of its own.
    """
    alone = set(single)
    most = min(_BOARDS_IN_CHUNK, max(1, len(boards) // (workers * _CHUNKS_OF_A_WORKER)))
    chunks: list[Chunk] = [((place, boards[place]),) for place in single]
    current: list[tuple[int, ImagePair]] = []
    size = 0
    for place, pair in boards.items():
        if place in alone:
            continue
        if current and (len(current) >= most or size + pair.size > _BYTES_IN_CHUNK):
            chunks.append(tuple(current))
            current, size = [], 0
        current.append((place, pair))
        size += pair.size
    if current:
        chunks.append(tuple(current))
    return chunks
