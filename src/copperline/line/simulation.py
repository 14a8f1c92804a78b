"""A simulated line: stations that hand boards to the service in their takt, and reviewers who judge its calls."""

from __future__ import annotations

import hashlib
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from copperline.client import Client, Inspection, Judgement
from copperline.detections import Detections, box_iou
from copperline.errors import ServiceError
from copperline.line.simulated_boards import BoardSource, MadeBoard
from copperline.taxonomy import Call, Disposition
from copperline.warehouse.simulated import OPPORTUNITIES

# A reviewer needs some time for a board, and passed boards are audited by lot.
REVIEW_SECONDS = (0.5, 2.0)
AUDITED = 0.2
REVIEWERS = ("simulated: ana", "simulated: ben")
_SAME_PLACE = 0.2  # overlap (IoU) of a detection with a label
_LATENCIES = 10_000


@dataclass(slots=True)
class StationReport:
    """What a station has seen so far; written by its thread alone.

    Attributes:
        calls: boards by call.
        latencies: seconds from handing a board in to its call, with tries and waiting; the newest ones.
        late: boards that could not be handed in in their takt, because the one before was still inspected.
        trouble: what the service last said when it did not answer with a call; empty: it does.
    """

    station_id: str
    line_id: str
    calls: Counter[Call] = field(default_factory=Counter)
    defective: int = 0
    latencies: list[float] = field(default_factory=list)
    late: int = 0
    last_board: str = ""
    trouble: str = ""

    @property
    def boards(self) -> int:
        return self.calls.total()

    def latency(self, quantile: float) -> float | None:
        """In seconds; None before the first board."""
        return float(np.quantile(self.latencies, quantile)) if self.latencies else None


@dataclass(frozen=True, slots=True)
class Takt:
    """How fast stations work.

    Attributes:
        seconds: between two boards of a station.
        boards: of each station; None: until it is stopped.
        reviewed: share of FAIL and WITHHELD calls that a reviewer judges, 0-1.
    """

    seconds: float = 2.0
    boards: int | None = None
    reviewed: float = 0.5


class SimulatedLine:
    """Stations and reviewers, each a thread of its own.

    Args:
        client: makes a client; each thread has one.
        source: of the boards.
        stations: how many, each on a line of its own, `LINE-1` with `AOI-1` and so on.
        takt: how fast.
        names_reviewers: whether reviewers give their names; the service takes none beside a key, whose own name counts.
    """

    def __init__(
        self,
        client: Callable[[], Client],
        source: BoardSource,
        stations: int,
        takt: Takt,
        *,
        names_reviewers: bool = True,
    ) -> None:
        self._client, self._source, self._takt = client, source, takt
        self._names_reviewers = names_reviewers
        self.reports = tuple(StationReport(f"AOI-{n}", f"LINE-{n}") for n in range(1, stations + 1))
        self.reviewed: Counter[Disposition] = Counter()
        self._to_review: queue.Queue[tuple[Inspection, MadeBoard]] = queue.Queue()
        self._stop = threading.Event()
        self._all_made = threading.Event()
        self._failed: list[BaseException] = []

    def prepare(self) -> None:
        """Gives the golden images to the library, unless it has the same already. Raises ServiceError."""
        with self._client() as client:
            for product, image in self._source.goldens().items():
                in_use = [
                    reference for reference in client.references(product_type=product) if not reference["revision"]
                ]
                if not in_use or in_use[0]["image_sha256"] != hashlib.sha256(image).hexdigest():
                    client.add_reference(
                        image,
                        product_type=product,
                        opportunities=OPPORTUNITIES.get(product),
                        note="of a simulated line",
                    )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Stations work while the block runs; at its end each finishes the board in its hands, and reviewers theirs."""
        stations = [threading.Thread(target=self._guarded, args=(self._work, n)) for n in range(len(self.reports))]
        reviewers = [threading.Thread(target=self._guarded, args=(self._review, name)) for name in REVIEWERS]
        for thread in (*stations, *reviewers):
            thread.start()
        self._stations: Sequence[threading.Thread] = stations
        try:
            yield
        finally:
            self._stop.set()
            for thread in stations:
                thread.join()
            self._all_made.set()
            for thread in reviewers:
                thread.join()
        if self._failed:
            raise self._failed[0]

    @property
    def done(self) -> bool:
        """Whether every station has made its boards, or one has failed."""
        return bool(self._failed) or not any(thread.is_alive() for thread in self._stations)

    def _guarded(self, work: Callable[[int], None] | Callable[[str], None], argument: int | str) -> None:
        try:
            work(argument)  # type: ignore[arg-type]
        except BaseException as error:  # noqa: BLE001  # raised again by `running`
            self._failed.append(error)
            self._stop.set()

    def _work(self, station: int) -> None:
        report, number = self.reports[station], 0
        # Stations do not beat in time with each other.
        begin = time.monotonic() + station / len(self.reports) * self._takt.seconds
        with self._client() as client:
            while self._takt.boards is None or number < self._takt.boards:
                board = self._source.board(station, number)
                planned = begin + number * self._takt.seconds
                if time.monotonic() > planned + self._takt.seconds:
                    report.late += 1
                    begin += time.monotonic() - planned  # the line waits; it does not run faster afterwards
                if self._stop.wait(max(0.0, planned - time.monotonic())):
                    return
                self._hand_in(client, report, board)
                number += 1

    def _hand_in(self, client: Client, report: StationReport, board: MadeBoard) -> None:
        """Until there is a call: a station does not lose a board because the service is away."""
        start = time.monotonic()
        while True:
            try:
                found = client.inspect(
                    board.image,
                    board_id=board.board_id,
                    station_id=report.station_id,
                    line_id=report.line_id,
                    product_type=board.product_type,
                    reference=board.reference,
                    simulated=True,
                    idempotency_key=board.board_id,
                )
                break
            except ServiceError as error:
                if error.status is not None and error.status < 500 and error.status != 429:
                    raise  # it will say the same of the next board
                report.trouble = str(error)
                if self._stop.wait(1.0):
                    return
        report.trouble = ""
        report.latencies.append(time.monotonic() - start)
        del report.latencies[:-_LATENCIES]
        report.defective += bool(len(board.labels))
        report.last_board = board.board_id
        report.calls[Call(found["call"])] += 1
        self._to_review.put((found, board))

    def _review(self, reviewer: str) -> None:
        lot = random.Random(reviewer)
        with self._client() as client:
            while True:
                try:
                    found, board = self._to_review.get(timeout=0.1)
                except queue.Empty:
                    if self._all_made.is_set():
                        return
                    continue
                if lot.random() < (AUDITED if found["call"] == Call.PASS else 1.0) * self._takt.reviewed:
                    self._stop.wait(lot.uniform(*REVIEW_SECONDS))  # what is left at the end is judged at once
                    self.reviewed.update(self._judge(client, reviewer, found, board))

    def _judge(self, client: Client, reviewer: str, found: Inspection, board: MadeBoard) -> list[Disposition]:
        """By what the board was made with."""
        key, detections, bad = found["inspection_id"], found["detections"], len(board.labels) > 0
        if found["call"] == Call.PASS or not detections:
            good = Disposition.CONFIRMED if found["call"] == Call.PASS else Disposition.FALSE_CALL
            wrong = Disposition.ESCAPE if found["call"] == Call.PASS else Disposition.CONFIRMED
            judgements: list[Judgement] = [{"inspection_id": key, "disposition": wrong if bad else good}]
        else:
            boxes = Detections.of([d["box"] or (0, 0, 0, 0) for d in detections], [0] * len(detections)).boxes
            overlaps = box_iou(boxes, board.labels.boxes)
            hits = overlaps.max(axis=1, initial=0) > _SAME_PLACE
            judgements = [
                {
                    "inspection_id": key,
                    "inference_id": detection["inference_id"],
                    "disposition": Disposition.CONFIRMED if hit else Disposition.FALSE_CALL,
                }
                for detection, hit in zip(detections, hits, strict=True)
            ]
            judgements += _missed(found, board, overlaps.max(axis=0, initial=0) <= _SAME_PLACE)
        client.judge(*judgements, reviewer=reviewer if self._names_reviewers else None)
        return [Disposition(judgement["disposition"]) for judgement in judgements]


def _missed(found: Inspection, board: MadeBoard, which: np.ndarray) -> list[Judgement]:
    """The labels that no detection overlaps, as far as they are in the image and the model has their class: a service
    elsewhere may have other classes, and takes no others."""
    width, height = found["image"]["width"], found["image"]["height"]
    if width is None or height is None:
        return []
    missed: list[Judgement] = []
    labels = board.labels[np.flatnonzero(which)]
    for class_id, corners in zip(labels.class_ids, labels.boxes.tolist(), strict=True):
        x1, x2 = np.clip([corners[0], corners[2]], 0, width).tolist()
        y1, y2 = np.clip([corners[1], corners[3]], 0, height).tolist()
        name = board.taxonomy[int(class_id)].name
        if x1 < x2 and y1 < y2 and name in found["operating_point"]["thresholds"]:
            missed.append(
                {
                    "inspection_id": found["inspection_id"],
                    "disposition": Disposition.ESCAPE,
                    "corrected_class": name,
                    "box": (x1, y1, x2, y2),
                }
            )
    return missed


def run_name() -> str:
    """Tells the boards of one simulation from another's."""
    return f"SIM{datetime.now(UTC):%y%m%d%H%M%S}"
