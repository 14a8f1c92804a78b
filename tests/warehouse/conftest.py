"""What the warehouse's tests share: inspections to write, plants drawn by lot, a recount in Python."""

from __future__ import annotations

import dataclasses
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from sqlalchemy import Engine, select

from copperline.detections import Detections
from copperline.errors import WarehouseError
from copperline.taxonomy import Call, Disposition
from copperline.warehouse import (
    BoardRecord,
    InspectionRecord,
    Judgement,
    inference_id_for,
    inspection_id_for,
    open_warehouse,
    record_dispositions,
    write_boards,
    write_inspections,
)
from copperline.warehouse.tables import defect_logs, dispositions, inspections, pcb_metadata

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TWO_DEFECTS = Detections.of([[10, 20, 30, 60], [100, 0, 110, 40]], [0, 3], [0.9, 0.75])


def make_inspection(board_id: str, detections: Detections = TWO_DEFECTS, **changes: Any) -> InspectionRecord:
    """An inspection of a 640 x 320 px image, FAIL if it has detections; its id follows from what identifies it."""
    record = InspectionRecord(
        inspection_id="",
        board_id=board_id,
        inspected_at=NOON,
        station_id="AOI-1",
        model_name="pcb-detector",
        model_version="3",
        operating_point='{"thresholds":{}}',
        image_path=f"stage/{board_id}.png",
        image_sha256="ab" * 32,
        reference_path=None,
        reference_sha256=None,
        registration_score=None,
        call=Call.FAIL if len(detections) else Call.PASS,
        latency_ms=12.5,
        width=640,
        height=320,
        detections=detections,
    )
    record = dataclasses.replace(record, **changes)
    if record.inspection_id:
        return record
    key = inspection_id_for(
        record.board_id,
        record.image_sha256,
        record.reference_sha256,
        record.model_name,
        record.model_version,
        record.operating_point,
    )
    return dataclasses.replace(record, inspection_id=key)


@pytest.fixture
def inspection() -> Callable[..., InspectionRecord]:
    return make_inspection


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'warehouse.db'}"


@pytest.fixture(scope="session")
def empty_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once; tests copy it, because making tables takes longer than most tests."""
    path = tmp_path_factory.mktemp("warehouse") / "empty.db"
    open_warehouse(f"sqlite:///{path}").dispose()
    return path


@pytest.fixture
def engine(url: str, empty_warehouse: Path) -> Iterator[Engine]:
    shutil.copyfile(empty_warehouse, url.removeprefix("sqlite:///"))
    engine = open_warehouse(url, timeout_s=5)
    yield engine
    engine.dispose()


def make_board(board_id: str, line: str | None = "L1", **changes: Any) -> BoardRecord:
    """Real metadata of a board of the product Hub, without opportunities."""
    source: Literal["real"] = "real"
    board = BoardRecord(board_id, date(2026, 2, 28), line, "Hub", None, NOON, None, source, None)
    return dataclasses.replace(board, **changes)


@pytest.fixture
def board() -> Callable[..., BoardRecord]:
    return make_board


def draw_plant(engine: Engine, lot: random.Random, boards: int = 30, hours: int = 30) -> None:
    """Boards with one to three inspections by two models in so many hours; most have metadata, some were judged."""
    records, names = [], [f"B{n}" for n in range(boards)]
    for name in names:
        for turn in range(lot.choice([1, 1, 1, 2, 3])):
            classes = [lot.choice([0, 0, 0, 1, 5]) for _ in range(lot.choice([0, 0, 1, 2, 3]))]
            calls = (
                [Call.FAIL, Call.FAIL, Call.WITHHELD, Call.PASS] if classes else [Call.PASS, Call.PASS, Call.WITHHELD]
            )
            records.append(
                make_inspection(
                    name,
                    Detections.of([[0, 0, 8, 8]] * len(classes), classes, [lot.randrange(100) / 100 for _ in classes]),
                    call=lot.choice(calls),
                    # Full minutes: some boards are inspected at the same time.
                    inspected_at=NOON + timedelta(minutes=lot.randrange(hours * 12) * 5),
                    image_sha256=f"{turn}",
                    model_version=lot.choice("334"),
                    brightness=lot.choice([None, 0.0, 100.0, 255.0]),
                )
            )
    write_inspections(engine, records, boards_per_transaction=len(records))
    known = [name for name in names if lot.random() < 0.8]
    write_boards(
        engine,
        [
            make_board(
                name,
                lot.choice([None, "L1", "L1", "L2"]),
                product_type=lot.choice([None, "Hub", "it's 50% 'off': \\"]),
                opportunities=lot.choice([None, 100]),
                source=lot.choice(["real", "simulated"]),
            )
            for name in known
        ],
    )
    for moment in range(boards // 2):
        record = lot.choice(records)
        part = lot.choice([None, None, *range(len(record.detections))])
        one = None if part is None else inference_id_for(record.inspection_id, part)
        judgement = Judgement(record.inspection_id, lot.choice(list(Disposition)), one)
        with suppress(WarehouseError):  # what contradicts the call
            record_dispositions(
                engine, [judgement], lot.choice(["ann", "bo", "cy"]), decided_at=NOON + timedelta(hours=moment)
            )
    for _ in range(boards // 8):
        at = NOON + timedelta(hours=lot.randrange(boards // 2) + 0.5)
        mark = draw_missed_defect(lot.choice(records).inspection_id, lot)
        record_dispositions(engine, [mark], lot.choice(["ann", "bo", "cy"]), decided_at=at)


def draw_missed_defect(inspection_id: str, lot: random.Random) -> Judgement:
    """In one of a few places apart from each other and from the detections of `draw_plant`."""
    box = (0.25 + 0.2 * lot.randrange(4), 0.5, 0.1, 0.1)
    name = lot.choice(["open", "short"])
    return Judgement(inspection_id, Disposition.ESCAPE, corrected_class=name, box=box)


@pytest.fixture(scope="session")
def plant() -> Callable[..., None]:
    return draw_plant


@dataclasses.dataclass(frozen=True)
class Seen:
    """One inspection: its row, its detections as (class, confidence, latest disposition), the places of missed defects
    with the class that was said last, and what review found."""

    row: dict[str, Any]
    detections: tuple[tuple[str, float, str | None], ...]
    missed: dict[tuple[float, float], str | None]
    verdict: str | None

    @property
    def waits(self) -> bool:
        """What was missed says nothing of what was called."""
        each = [word for _, _, word in self.detections]
        call_judged = not each or any(word not in (None, "FALSE_CALL") for word in each) or None not in each
        return self.row["call"] != "PASS" and (self.verdict is None or not call_judged)


@dataclasses.dataclass(frozen=True)
class Counted:
    """A board as the rows that people and machines wrote tell of it."""

    board_id: str
    line: str
    product: str
    opportunities: int | None
    simulated: bool
    seen: tuple[Seen, ...]

    @property
    def first(self) -> Seen:
        return self.seen[0]

    @property
    def latest(self) -> Seen:
        return self.seen[-1]

    @property
    def hour(self) -> datetime:
        at: datetime = self.first.row["inspected_at"]
        return at.replace(minute=0, second=0, microsecond=0)

    def is_in(self, chosen: Any) -> bool:
        """Whether a BoardFilter means this board; its classes are left to the test."""
        latest = self.latest.row
        return (
            (chosen.since is None or self.hour >= chosen.since)
            and (chosen.until is None or self.hour < chosen.until)
            and (not chosen.lines or self.line in chosen.lines)
            and (not chosen.products or self.product in chosen.products)
            and (
                not chosen.models
                or (latest["model_name"], latest["model_version"]) in {(m.name, m.version) for m in chosen.models}
            )
        )


def recount_boards(engine: Engine) -> list[Counted]:
    """Every inspected board, put together in Python from the tables that are not derived."""
    with engine.connect() as connection:
        rows, logs, said, known = (
            [dict(row) for row in connection.execute(select(table)).mappings()]
            for table in (inspections, defect_logs, dispositions, pcb_metadata)
        )
    said.sort(key=lambda row: (row["decided_at"], row["disposition_id"]))
    metadata = {row["board_id"]: row for row in known}
    boards: dict[str, list[Seen]] = {}
    for row in sorted(rows, key=lambda row: (row["inspected_at"], row["inspection_id"])):
        own = [s for s in said if s["inspection_id"] == row["inspection_id"]]
        found = []
        for log in logs:
            if log["inspection_id"] == row["inspection_id"]:
                of_it = [s for s in own if s["inference_id"] in (None, log["inference_id"]) and not _is_missed(s)]
                words = [s["disposition"] for s in of_it]
                found.append((log["detected_class"], log["confidence_score"], words[-1] if words else None))
        whole = [s["disposition"] for s in own if s["inference_id"] is None]
        missed = _missed(row["call"], own)
        verdict = _verdict(row["call"], whole[-1] if whole else None, [f[2] for f in found], missed=bool(missed))
        seen = Seen(row, tuple(found), missed, verdict)
        boards.setdefault(row["board_id"], []).append(seen)
    return [
        Counted(
            board_id=name,
            line=metadata.get(name, {}).get("factory_line_id") or "",
            product=metadata.get(name, {}).get("product_type") or "",
            opportunities=metadata.get(name, {}).get("opportunities"),
            simulated=metadata.get(name, {}).get("source") == "simulated",
            seen=tuple(seen),
        )
        for name, seen in boards.items()
    ]


def _is_missed(said: dict[str, Any]) -> bool:
    return said["inference_id"] is None and said["disposition"] == "ESCAPE" and said["bbox_x_center"] is not None


def _missed(call: str, own: list[dict[str, Any]]) -> dict[tuple[float, float], str | None]:
    """What is left of the missed defects that were told, in the order of time."""
    found: dict[tuple[float, float], str | None] = {}
    for said in own:
        if _is_missed(said):
            found[said["bbox_x_center"], said["bbox_y_center"]] = said["corrected_class"]
        elif said["inference_id"] is None and said["disposition"] == ("CONFIRMED" if call == "PASS" else "FALSE_CALL"):
            found.clear()
    return found


def _verdict(call: str, whole: str | None, each: list[str | None], *, missed: bool) -> str | None:
    """What review found of an inspection: of the whole board, of each detection, and of what was not detected."""
    if whole == "ESCAPE":
        return "BAD"
    if call == "PASS":
        return "GOOD" if whole else None
    if missed or "CONFIRMED" in each:
        return "BAD"
    if each:
        return "GOOD" if set(each) == {"FALSE_CALL"} else None
    return {None: None, "FALSE_CALL": "GOOD"}.get(whole, "BAD")


@pytest.fixture(scope="session")
def recount() -> Callable[[Engine], list[Counted]]:
    return recount_boards
