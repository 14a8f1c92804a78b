"""Fills a workspace with a small plant: drawn boards, really inspected by a shipped model, and some of them reviewed.

    python scripts/demo_plant.py WORKSPACE --boards 240

Boards, lines, products, times and reviews are made up, and every board says `simulated`; calls, detections, scores and
latencies are what the model gave. Reviewers judge by the labels that the boards were drawn with.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from copperline.data import BoardPair, open_dataset
from copperline.detections import Detections, box_iou
from copperline.inspection import Detector, inspect_pairs
from copperline.progress import progress
from copperline.registry import promote_model
from copperline.settings import Settings
from copperline.taxonomy import Call, Disposition
from copperline.warehouse import (
    InspectionRecord,
    Judgement,
    inspection_detections,
    open_warehouse,
    record_dispositions,
    simulate_metadata,
    simulated_time,
    trace_board,
    write_boards,
    write_inspection,
)
from copperline.workflows.importing import draw, import_dataset

DATASET = "demo-plant"
SIZE = 640
REVIEWED = 0.6
OPPORTUNITIES = {"Motor controller": 1_450, "Power supply": 820, "Sensor hub": 610}


def fill(settings: Settings, boards: int, *, model: str = "builtin:golden-only", seed: int = 0, days: int = 14) -> None:
    """Draws, imports, inspects and reviews; a workspace that has the boards already is left as it is."""
    folder = settings.workspace.absolute() / "downloads" / f"{DATASET}-{boards}-{seed}"
    if not folder.exists():
        draw(settings, folder, train=1, test=boards, seed=seed, size=SIZE)
    dataset, report = open_dataset(folder)
    dataset, _ = import_dataset(dataset, report, settings, DATASET, overwrite=True)
    version = promote_model(settings, model)
    detector = Detector.load(str(version.version), settings=settings)
    pairs = dataset.split("test")
    records = simulate_metadata([p.board_id for p in pairs], seed=seed, before=datetime.now(UTC).date(), days=days)
    records = [replace(r, opportunities=OPPORTUNITIES.get(r.product_type or "")) for r in records]
    times = {record.board_id: simulated_time(record) for record in records}
    engine = open_warehouse(settings.warehouse)
    write_boards(engine, records)

    def write(record: InspectionRecord) -> bool:
        return write_inspection(engine, replace(record, inspected_at=times[record.board_id]), detector.taxonomy)

    with progress("Inspecting") as report_progress:
        inspect_pairs(detector, pairs, write, station_id="AOI-1", progress=report_progress)
    review(engine, pairs, random.Random(seed))
    engine.dispose()


def review(engine: Engine, pairs: Sequence[BoardPair], lot: random.Random) -> None:
    """Two reviewers judge a part of the boards by their labels; now and then both judge one, and one of them errs."""
    for pair in pairs:
        if lot.random() > REVIEWED:
            continue
        inspection = trace_board(engine, pair.board_id).inspections[0]
        at = inspection.inspected_at + timedelta(minutes=lot.randint(5, 90))
        judgements = _judgements(engine, inspection.inspection_id, inspection.call, pair, 0, lot)
        record_dispositions(engine, judgements, lot.choice(("ana", "ben")), decided_at=at)
        if lot.random() < 0.25:
            second = _judgements(engine, inspection.inspection_id, inspection.call, pair, 0.1, lot)
            for reviewer in ("ana", "ben"):
                record_dispositions(engine, second, reviewer, decided_at=at + timedelta(minutes=3))


def _judgements(
    engine: Engine, inspection_id: str, call: Call, pair: BoardPair, mistakes: float, lot: random.Random
) -> list[Judgement]:
    if call is Call.PASS:
        escaped = len(pair.labels) > 0
        return [Judgement(inspection_id, Disposition.ESCAPE if escaped else Disposition.CONFIRMED)]
    if call is Call.WITHHELD:
        return [Judgement(inspection_id, Disposition.CONFIRMED if len(pair.labels) else Disposition.FALSE_CALL)]
    judgements = []
    for detection in inspection_detections(engine, inspection_id):
        x, y, w, h = detection.box
        box = [
            [(x - w / 2) * pair.width, (y - h / 2) * pair.height, (x + w / 2) * pair.width, (y + h / 2) * pair.height]
        ]
        true = len(pair.labels) > 0 and box_iou(Detections.of(box, [0]).boxes, pair.labels.boxes).max() > 0.2
        if lot.random() < mistakes:
            true = not true
        said = Disposition.CONFIRMED if true else Disposition.FALSE_CALL
        judgements.append(Judgement(inspection_id, said, detection.inference_id))
    return judgements


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--boards", type=int, default=240)
    arguments = parser.parse_args()
    settings = Settings.load(arguments.workspace)
    fill(settings, arguments.boards)
    print(f"Filled {settings.workspace}. Next: copperline dashboard --workspace {settings.workspace}")


if __name__ == "__main__":
    main()
