"""Whether learning from reviews helps: `python benchmarks/feedback.py`, one core, some minutes.

A scanner that the shipped model has not been trained for: drawn boards with rougher edges, more blur and more drift of
the threshold than it knows. `builtin:deeppcb` inspects boards of it, and a reviewer, simulated from the labels, judges
each detection and marks what was missed, on boards that passed and on boards that failed for another defect. That is
a reviewer who overlooks nothing; `--marked 0` is one who marks nothing on boards that failed. From these reviews and
from as many boards of the old look it is trained on, and both models then meet boards that neither was trained on: of
the new look, and of the old one, to see what was forgotten. No board is of DeepPCB.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from copperline.data import BoardPair, combined, open_dataset, save_dataset, saved_dataset
from copperline.data.synthetic import ScanSettings, write_synthetic_dataset
from copperline.detections import Detections, box_iou
from copperline.evaluation import verdict
from copperline.evaluation.comparison_page import comparison_rows
from copperline.inspection import Detector, inspect_pairs
from copperline.registry import CHAMPION, promote_model
from copperline.settings import Settings
from copperline.taxonomy import Call, Disposition, Taxonomy
from copperline.training import FINE_TUNING, TrainConfig, fit, training_progress
from copperline.warehouse import (
    InspectionTrace,
    Judgement,
    normalised_boxes,
    open_warehouse,
    pixel_boxes,
    record_dispositions,
    trace_board,
    write_inspection,
)
from copperline.warehouse.reviewed_boards import ReviewedImage, reviewed_images
from copperline.workflows import relearning
from copperline.workflows.comparing import compare_models, find_dataset, find_model
from copperline.workflows.relearning import dataset_from_reviews
from copperline.workflows.training import initial_model, register_model
from copperline.workspace import Workspace

ROUGH = ScanSettings(shift=1.5, drill_shift=4.0, blur=(1.2, 2.0), roughness=(40.0, 75.0), exposure=20.0)
REVIEWED, HELD_OUT = 80, 100
SAME_DEFECT = 0.33  # IoU, as in all figures at the operating point


def main() -> None:
    options = _options()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(workspace=Path(folder) / "workspace", threads=1)
        line = _draw(Path(folder), settings)
        promote_model(settings, "builtin:deeppcb", CHAMPION, reason="the model that came with Copperline")
        said = _inspect_and_review(settings, line, marked=options.marked)
        print(f"reviews of {len(line)} boards, simulated from the labels: {said}")
        if options.whole:
            _take_whole_images()
        made = dataset_from_reviews(settings, "reviews")
        print(
            f"data from-reviews: {made.whole} images as a whole, {made.crops} crops, {made.false_calls} false calls; "
            f"left out: {made.left_out or 'nothing'}"
        )
        seconds = _train(settings, options.epochs, options.learning_rate)
        print(f"train --init champion: {seconds:.0f} s in training steps\n")
        for name, words in (("new-look", "the new look"), ("old-look", "the old look")):
            _compare(settings, name, words)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=FINE_TUNING["epochs"])
    parser.add_argument("--learning-rate", type=float, default=FINE_TUNING["learning_rate"])
    parser.add_argument(
        "--whole", action="store_true", help="take images as a whole where each detection was judged: what that does"
    )
    parser.add_argument(
        "--marked", type=float, default=1.0, help="share of what was missed on boards that failed that reviewers mark"
    )
    return parser.parse_args()


def _take_whole_images() -> None:
    """As if a reviewer who judges each detection had looked at all of the board."""

    def looked_at(*arguments: Any, **options: Any) -> tuple[ReviewedImage, ...]:
        return tuple(replace(image, looked_at=True) for image in reviewed_images(*arguments, **options))

    relearning.reviewed_images = looked_at  # type: ignore[assignment]


def _draw(folder: Path, settings: Settings) -> tuple[BoardPair, ...]:
    """The boards that are reviewed. Those of the old look are imported, and the held-out boards of both."""
    learned = []
    for name, scan, seed in (("new-look", ROUGH, 11), ("old-look", None, 12)):
        write_synthetic_dataset(folder / name, train=REVIEWED, test=HELD_OUT, seed=seed, processes=1, scan=scan)
        held_out, report = open_dataset(folder / name, splits=("test",))
        save_dataset(held_out, report, Workspace(settings).datasets / name)
        learned.append(open_dataset(folder / name, splits=("train", "val"))[0])
    save_dataset(learned[1], report, Workspace(settings).datasets / "before")
    # The drawn boards of both looks are numbered alike, and a board is known by its id.
    return tuple(replace(pair, board_id=f"line-{pair.board_id}") for pair in learned[0])


def _inspect_and_review(settings: Settings, pairs: Sequence[BoardPair], *, marked: float) -> dict[str, int]:
    engine = open_warehouse(settings.warehouse)
    detector = Detector.load(CHAMPION, settings=settings)
    inspect_pairs(
        detector, pairs, partial(write_inspection, engine, taxonomy=detector.taxonomy), station_id="benchmark"
    )
    said: Counter[str] = Counter()
    lot = random.Random(0)
    for pair in pairs:
        (inspection,) = trace_board(engine, pair.board_id).inspections
        judgements, missed = _judge(inspection, pair, detector.taxonomy)
        passed = inspection.call is Call.PASS
        told = [mark for mark in missed if passed or lot.random() < marked]
        every = [*told, *judgements]
        if passed and not every:
            every = [Judgement(inspection.inspection_id, Disposition.CONFIRMED)]
        record_dispositions(engine, every, "simulated reviewer")
        said.update("corrected" if j.corrected_class and j.inference_id else str(j.disposition) for j in judgements)
        said["missed on a passed board" if passed else "missed on a failed board"] += len(missed)
        said["of these marked"] += len(told)
    engine.dispose()
    return dict(said)


def _judge(inspection: InspectionTrace, pair: BoardPair, taxonomy: Taxonomy) -> tuple[list[Judgement], list[Judgement]]:
    """What a reviewer who knows the labels says of each detection, and the defects that were missed."""
    called = [detection.box for detection in inspection.detections]
    boxes = np.asarray(pixel_boxes(called, pair.width, pair.height), np.float32)
    overlaps = box_iou(boxes, pair.labels.boxes)
    seen: set[int] = set()
    judgements = []
    for detection, row in zip(inspection.detections, overlaps, strict=True):
        label = int(row.argmax()) if row.size and row.max() >= SAME_DEFECT else None
        if label is None:
            said = Judgement(inspection.inspection_id, Disposition.FALSE_CALL, detection.inference_id)
        else:
            seen.add(label)
            name = taxonomy[int(pair.labels.class_ids[label])].name
            corrected = None if name == detection.defect_class else name
            said = Judgement(
                inspection.inspection_id, Disposition.CONFIRMED, detection.inference_id, corrected_class=corrected
            )
        judgements.append(said)
    missed = pair.labels[[i for i in range(len(pair.labels)) if i not in seen]] if len(pair.labels) else pair.labels
    return judgements, _marks(inspection, pair, missed, taxonomy)


def _marks(inspection: InspectionTrace, pair: BoardPair, missed: Detections, taxonomy: Taxonomy) -> list[Judgement]:
    return [
        Judgement(
            inspection.inspection_id,
            Disposition.ESCAPE,
            corrected_class=taxonomy[int(class_id)].name,
            box=tuple(box),
        )
        for class_id, box in zip(
            missed.class_ids, normalised_boxes(missed, pair.width, pair.height).tolist(), strict=True
        )
    ]


def _train(settings: Settings, epochs: int, learning_rate: float) -> float:
    """`copperline train --init champion --data before --data reviews`."""
    space = Workspace(settings)
    opened = [open_dataset(space.datasets / name, splits=("train", "val"))[0] for name in ("before", "reviews")]
    dataset, notes = combined(opened)
    assert not notes, notes
    initial = initial_model(settings, CHAMPION, dataset.taxonomy)
    config = TrainConfig(
        **{**FINE_TUNING, "epochs": epochs, "learning_rate": learning_rate},
        network=initial.network,
        init=initial.name,
        init_sha256=initial.sha256,
        mix=(1.0, 1.0),
    )
    with training_progress() as bar:
        trained = fit(dataset, config, space.new_run(), settings, init=initial.path, listeners=[bar])
    assert trained is not None
    hashes = [saved_dataset(space.datasets / name).data_hash for name in ("before", "reviews")]
    register_model(trained, dataset, settings, data_hashes=hashes)
    return trained.seconds


def _compare(settings: Settings, name: str, words: str) -> None:
    """`copperline models compare champion challenger --data NAME`."""
    first, second = find_model(settings, CHAMPION), find_model(settings, "challenger")
    kept = compare_models(settings, first, second, find_dataset(settings, Path(name), "test"), "test")
    print(f"{kept.result.boards} held-out boards of {words}, {kept.result.labels} defects:\n")
    print("| figure | shipped | learned | difference, points | 95 % interval | it says |\n|---|---|---|---|---|---|")
    for row in comparison_rows(kept.result):
        print("| " + " | ".join(row) + " |")
    print(f"\n{verdict(kept.result, 'the shipped model', 'the model that learned')}\n", flush=True)


if __name__ == "__main__":
    started = time.perf_counter()
    main()
    print(f"{(time.perf_counter() - started) / 60:.1f} min in all")
