"""Fills a workspace with a small plant: drawn boards, really inspected by a shipped model, and some of them reviewed.

    python scripts/demo_plant.py WORKSPACE --boards 240

Boards, lines, products, times and reviews are made up, and every board says `simulated`; calls, detections, scores and
latencies are what the model gave. Reviewers judge by the labels that the boards were drawn with.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from copperline.dashboard.board_pictures import as_detections
from copperline.data import BoardPair, open_dataset, read_pair, write_image
from copperline.detections import Detections, box_iou
from copperline.evaluation.clean_boards import clean_board
from copperline.inspection import Detector, inspect_pairs, pairs_in_folder
from copperline.progress import progress
from copperline.reference import register
from copperline.registry import promote_model
from copperline.settings import Settings
from copperline.taxonomy import DEEPPCB, Call, Disposition
from copperline.warehouse import (
    InspectionRecord,
    InspectionTrace,
    Judgement,
    open_warehouse,
    record_dispositions,
    simulate_metadata,
    simulated_time,
    trace_board,
    write_boards,
    write_inspection,
)
from copperline.warehouse.simulated import OPPORTUNITIES
from copperline.workflows.importing import draw, import_dataset

DATASET = "demo-plant"
SIZE = 640
# Drawn boards have half a dozen defects each. A plant's have none, now and then one or two.
DEFECTIVE, MOST_DEFECTS = 0.12, 2
REVIEWED, AUDITED = 0.8, 0.1


def fill(settings: Settings, boards: int, *, model: str = "builtin:golden-only", seed: int = 0, days: int = 14) -> None:
    """Draws, imports, inspects and reviews; what the workspace has of it already is not made again."""
    source = settings.workspace.absolute() / "downloads" / f"{DATASET}-{boards}-{seed}"
    if not source.exists():
        draw(settings, source, train=1, test=boards, seed=seed, size=SIZE)
    dataset, report = open_dataset(source)
    dataset, _ = import_dataset(dataset, report, settings, DATASET, overwrite=True)
    version = promote_model(settings, model)
    detector = Detector.load(str(version.version), settings=settings)

    lot = random.Random(seed)
    folder = settings.workspace.absolute() / "stage"
    labels = {pair.board_id: _as_made(pair, folder, lot) for pair in dataset.split("test")}
    records = simulate_metadata(labels, seed=seed, before=datetime.now(UTC).date(), days=days)
    records = [replace(r, opportunities=OPPORTUNITIES.get(r.product_type or "")) for r in records]
    times = {record.board_id: simulated_time(record) for record in records}
    engine = open_warehouse(settings.warehouse)
    write_boards(engine, records)

    def write(record: InspectionRecord) -> bool:
        return write_inspection(engine, replace(record, inspected_at=times[record.board_id]), detector.taxonomy)

    with progress("Inspecting") as report_progress:
        inspect_pairs(detector, pairs_in_folder(folder), write, station_id="AOI-1", progress=report_progress)
    for board_id, true in labels.items():
        review(engine, board_id, true, lot)
    engine.dispose()


def _as_made(pair: BoardPair, folder: Path, lot: random.Random) -> Detections:
    """Writes the board with few of its defects or none, and its reference; gives the labels that are left."""
    test, reference = read_pair(pair)
    assert reference is not None
    kept = lot.randint(1, MOST_DEFECTS) if lot.random() < DEFECTIVE else 0
    registered = register(test, reference).reference
    write_image(folder / f"{pair.board_id}_test.png", clean_board(test, registered, pair.labels[kept:]))
    write_image(folder / f"{pair.board_id}_temp.png", reference)
    return pair.labels[:kept]


def review(engine: Engine, board_id: str, true: Detections, lot: random.Random) -> None:
    """One of two reviewers judges the board by its labels, or nobody does; now and then both do, and one may err."""
    inspection = trace_board(engine, board_id).inspections[0]
    if lot.random() > (AUDITED if inspection.call is Call.PASS else REVIEWED):
        return
    at = inspection.inspected_at + timedelta(minutes=lot.randint(5, 90))
    reviewers = ["ana", "ben"] if lot.random() < 0.3 else [lot.choice(("ana", "ben"))]
    for number, reviewer in enumerate(reviewers):
        judgements = _judgements(inspection, true, 0.1 * number, lot)
        record_dispositions(engine, judgements, reviewer, decided_at=at + timedelta(minutes=number))


def _judgements(
    inspection: InspectionTrace, labels: Detections, mistakes: float, lot: random.Random
) -> list[Judgement]:
    key = inspection.inspection_id
    if inspection.call is Call.PASS:
        return [Judgement(key, Disposition.ESCAPE if len(labels) else Disposition.CONFIRMED)]
    if inspection.call is Call.WITHHELD:
        return [Judgement(key, Disposition.CONFIRMED if len(labels) else Disposition.FALSE_CALL)]
    found = as_detections(inspection.detections, DEEPPCB, SIZE, SIZE)
    overlaps = box_iou(found.boxes, labels.boxes).max(axis=1, initial=0) > 0.2
    true = [bool(hit) != (lot.random() < mistakes) for hit in overlaps]
    return [
        Judgement(key, Disposition.CONFIRMED if yes else Disposition.FALSE_CALL, detection.inference_id)
        for yes, detection in zip(true, inspection.detections, strict=True)
    ]


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
