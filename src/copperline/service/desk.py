"""The desk: where a request for an inspection is taken, joined with an equal one that is under way, and answered."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fastapi.concurrency import run_in_threadpool

from copperline.access.principals import Principal
from copperline.line import Answer, InspectionDocument, LineInspector, Submission
from copperline.service.lane import Job, Lane
from copperline.service.metrics import Metrics
from copperline.service.problems import Problem
from copperline.warehouse import RequestKey, answered_request, read_inspections

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Reply:
    """An inspection, and whether this request made it."""

    document: InspectionDocument
    new: bool


@dataclass(eq=False, slots=True)
class _UnderWay:
    """A board that one or several requests wait for.

    Attributes:
        waiting: requests; at 0 the board is dropped if it is not being judged yet.
        expires_at: when the last of them gives up, of `time.monotonic`.
        job: None until the board is in the lane's queue.
    """

    submission: Submission
    expires_at: float
    waiting: int = 0
    job: Job | None = None
    task: asyncio.Task[Reply] | None = field(default=None, repr=False)


class Desk:
    """Lives in the event loop; what takes time goes to threads.

    Args:
        timeout_s: that a request waits for its answer.
        decoders: threads that decode and condition images.
    """

    def __init__(
        self, inspector: LineInspector, lane: Lane, metrics: Metrics, *, timeout_s: float, decoders: int
    ) -> None:
        self._inspector = inspector
        self._lane = lane
        self._metrics = metrics
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(decoders, thread_name_prefix="decoder")
        self._by_key: dict[str, _UnderWay] = {}
        self._tasks: set[asyncio.Task[Reply]] = set()

    async def close(self) -> None:
        """Waits for what is under way; call it before the lane is stopped."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._threads.shutdown()

    async def ask(
        self, submission: Submission, gone: Callable[[], Coroutine[Any, Any, None]] | None = None
    ) -> Reply | None:
        """Inspects a board, or finds the inspection that answers its request already.

        Args:
            gone: a coroutine that ends when the client has closed the connection.

        Returns:
            None: the client is gone.

        Raises:
            Problem: the queue is full, the time is over, or the key was used for something else.
            CopperlineError: as LineInspector's three steps.
        """
        under_way = self._join(submission)
        assert under_way.task is not None
        under_way.waiting += 1
        under_way.expires_at = time.monotonic() + self._timeout_s
        if under_way.job is not None:
            under_way.job.expires_at = under_way.expires_at
        left = asyncio.ensure_future(gone()) if gone is not None else None
        try:
            await asyncio.wait(
                {under_way.task} | ({left} if left is not None else set()),
                timeout=self._timeout_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            under_way.waiting -= 1
            if left is not None and not left.done():
                left.cancel()
            dropped = self._drop_if_nobody_waits(under_way)
        if under_way.task.done() and not under_way.task.cancelled():
            return under_way.task.result()
        if left is not None and left.done():
            return None
        raise self._too_late(dropped or under_way.task.cancelled())

    def _join(self, submission: Submission) -> _UnderWay:
        request = submission.request
        if request is not None and (same := self._by_key.get(request.key)) is not None:
            assert same.submission.request is not None
            if same.submission.request != request:
                raise key_used_before()
            return same
        under_way = _UnderWay(submission, time.monotonic() + self._timeout_s)
        under_way.task = asyncio.create_task(self._work(under_way))
        self._tasks.add(under_way.task)
        under_way.task.add_done_callback(self._tasks.discard)
        if request is not None:
            key = request.key
            self._by_key[key] = under_way
            under_way.task.add_done_callback(lambda _: self._forget(key, under_way))
        under_way.task.add_done_callback(_hear)
        return under_way

    def _drop_if_nobody_waits(self, under_way: _UnderWay) -> bool:
        """Whether it is certain that the board is not inspected for these requests."""
        if under_way.waiting or under_way.task is None or under_way.task.done():
            return False
        if under_way.job is not None and not self._lane.abandon(under_way.job):
            return False
        request = under_way.submission.request
        if request is not None:  # who comes with this key from now on begins anew
            self._forget(request.key, under_way)
        return True

    def _forget(self, key: str, under_way: _UnderWay) -> None:
        if self._by_key.get(key) is under_way:
            del self._by_key[key]

    async def _work(self, under_way: _UnderWay) -> Reply:
        submission = under_way.submission
        if submission.request is not None:
            found = await run_in_threadpool(self._answered, submission.request)
            if found is not None:
                return found
        started = time.monotonic()
        self._lane.admit()
        try:
            prepared = await self.in_thread(lambda: self._inspector.prepare(submission))
            if not under_way.waiting:
                raise asyncio.CancelledError
        except BaseException:
            self._lane.leave()
            raise
        under_way.job = self._lane.put(prepared, under_way.expires_at)
        answer = await asyncio.wrap_future(under_way.job.answer)
        self._metrics.inspection_seconds.observe(time.monotonic() - started)
        return await self._reply(submission, answer)

    async def _reply(self, submission: Submission, answer: Answer) -> Reply:
        if answer.document is not None:
            return Reply(answer.document, answer.written.new)
        # Another process may have been faster, with the same key for something else.
        found = await run_in_threadpool(self._answered, submission.request)
        return found or Reply(await run_in_threadpool(self._document, answer.written.inspection_id), False)

    def _answered(self, request: RequestKey | None) -> Reply | None:
        found = None if request is None else answered_request(self._inspector.engine, request.key)
        if found is None:
            return None
        before, inspection_id = found
        if before != request:
            raise key_used_before()
        return Reply(self._document(inspection_id), False)

    def _document(self, inspection_id: str) -> InspectionDocument:
        ((board, trace),) = read_inspections(self._inspector.engine, [inspection_id])
        return InspectionDocument.of_trace(board, trace, self._inspector.detector.taxonomy)

    async def in_thread(self, work: Callable[[], _T]) -> _T:
        """Runs `work` where images are decoded, so that no more of that goes on at once than there are threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _too_late(self, not_inspected: bool) -> Problem:
        wait = self._lane.retry_after_s()
        if not_inspected:
            return Problem(
                503,
                "not-inspected-in-time",
                "The board was not inspected in time",
                f"expected an answer within {self._timeout_s:g} s, found too many boards before this one; it was "
                f"dropped and will not be inspected; try again in {wait} s",
                headers={"Retry-After": str(wait)},
            )
        return Problem(
            504,
            "still-under-way",
            "The inspection takes too long",
            f"expected an answer within {self._timeout_s:g} s, found the board still being inspected; ask again with "
            "the same Idempotency-Key, which gives its inspection",
            headers={"Retry-After": "1"},
        )


def request_key(principal: Principal, key: str, submission: Submission) -> RequestKey:
    """An idempotency key of a client, with the hash of all that it asks."""
    asked = {
        "board_id": submission.board_id,
        "station_id": submission.station_id,
        "image": hashlib.sha256(submission.image).hexdigest(),
        "reference": None if submission.reference is None else hashlib.sha256(submission.reference).hexdigest(),
        "reference_id": submission.reference_id,
        "product_type": submission.product_type,
        "revision": submission.revision,
        "line_id": submission.line_id,
        "panel_id": submission.panel_id,
        "conditioning": None if submission.recipe is None else submission.recipe.to_json(),
        "source": submission.source,
    }
    return RequestKey(_sha256([principal.key_id or principal.name, key]), _sha256(asked))


def key_used_before() -> Problem:
    return Problem(
        422,
        "idempotency-key-used",
        "The idempotency key was used before",
        "expected the same board, images and fields as with this Idempotency-Key before, found others; use a new key "
        "for each board",
    )


def _sha256(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _hear(task: asyncio.Task[Reply]) -> None:
    """An answer that nobody waits for any more is no fault of the loop."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.debug("a board was not inspected: %s", error)
