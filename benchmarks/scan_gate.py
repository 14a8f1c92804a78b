"""What skipping tiles that equal their reference loses and saves, for several rules, on labelled boards.

Boards are cut into tiles at several offsets, and looked at whole. A defect is lost where the detector finds it in a
tile, at its operating point, that the rule skips. It is found without a block where the rule sees none in its own box:
alone on its tile it would be lost. Bounds count each label once, as on the whole board. Rules: no block of so many
pixels has changed throughout; the product's is 2 x 2. The share skipped is of tiles of the clean boards, whose labelled
boxes are filled with the reference's pixels.

Without --data, boards are drawn. The rule was chosen on the split `train`; `val` is of other board groups. The split
`test` is not read.

Run: python benchmarks/scan_gate.py [--data PCBData] [--boards 400] [--model builtin:deeppcb] [--json]
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from copperline.data import read_deeppcb, read_pair
from copperline.data.images import Image
from copperline.data.pairs import BoardPair
from copperline.data.synthetic import DefectSizes, synthetic_pair
from copperline.detections import Detections, box_iou
from copperline.evaluation.clean_boards import clean_board
from copperline.evaluation.intervals import wilson_interval
from copperline.inspection import Detector
from copperline.reference import register
from copperline.reference.gate import LEAST_CHANGE, equals_reference
from copperline.taxonomy import DEEPPCB

WHOLE = 640
SIDES = {320: ((0, 0), (107, 53), (160, 160), (213, 267)), WHOLE: ((0, 0),)}
RULES = {"all equal": (1, 1), "2 x 2": (2, 2), "2 x 3": (2, 3), "2 x 4": (2, 4), "3 x 3": (3, 3), "4 x 4": (4, 4)}
Board = tuple[str, str, Image, Image, Detections]


def changed_blocks(test: Image, reference: Image, rule: str) -> Image:
    """Not 0 where a block begins, upright or lying, all of whose pixels changed."""
    changed = (cv2.absdiff(test, reference) >= (1 if rule == "all equal" else LEAST_CHANGE)).astype(np.uint8)
    high, wide = RULES[rule]
    kernels = [np.ones(shape, np.uint8) for shape in {(high, wide), (wide, high)}]
    blocks = [cv2.erode(changed, k, borderType=cv2.BORDER_CONSTANT, borderValue=0) for k in kernels]
    return np.asarray(np.maximum.reduce(blocks), np.uint8)


@lru_cache(maxsize=1)
def detector_of(model: str) -> Detector:
    cv2.setNumThreads(1)
    return Detector.load(model, threads=1)


def board_of(job: BoardPair | tuple[int, float]) -> Board:
    if isinstance(job, BoardPair):
        test, reference = read_pair(job)
        assert reference is not None
        return str(job.split), job.board_group, test, reference, job.labels
    seed, scale = job
    test, reference, labels = synthetic_pair((41, seed), sizes=DefectSizes(scale=scale))
    return f"drawn, {scale:g} times as large", "drawn", test, reference, labels


def tiles_of(shape: tuple[int, ...]) -> Iterator[tuple[int, slice, slice]]:
    for side, offsets in SIDES.items():
        for left, top in offsets:
            for y in range(top, shape[0] - side + 1, side):
                for x in range(left, shape[1] - side + 1, side):
                    yield side, slice(y, y + side), slice(x, x + side)


def count_board(job: BoardPair | tuple[int, float], model: str) -> tuple[str, str, Counter[str]]:
    """Labels in tiles, those found, those lost by each rule; clean tiles, those skipped by each rule."""
    split, group, test, raw_reference, labels = board_of(job)
    reference = register(test, raw_reference).reference
    clean = clean_board(test, reference, labels)
    detector = detector_of(model)
    count: Counter[str] = Counter()
    for side, rows, columns in tiles_of(test.shape):
        tile, golden, good = (np.ascontiguousarray(image[rows, columns]) for image in (test, reference, clean))
        count[f"clean {side}"] += 1
        for rule in RULES:
            count[f"skipped {side} {rule}"] += not changed_blocks(good, golden, rule).any()
        inside = labels.shifted(-columns.start, -rows.start)
        whole = ((inside.boxes >= 0) & (inside.boxes <= side)).all(axis=1)
        inside = inside[whole]
        if not len(inside):
            continue
        said = detector(tile, golden, registered=True)
        found = (box_iou(inside.boxes, said.boxes) >= 0.33).any(axis=1) if len(said) else np.zeros(len(inside), bool)
        count["labels"] += len(inside)
        count["found"] += int(found.sum())
        for rule in RULES:
            if not changed_blocks(tile, golden, rule).any():
                count[f"lost {rule}"] += int(found.sum())
        if equals_reference(tile, golden):
            count["lost by the product"] += int(found.sum())
        if side != WHOLE:
            continue
        count["labels once"] += len(inside)
        count["found once"] += int(found.sum())
        for box, class_id, is_found in zip(inside.boxes, inside.class_ids, found, strict=True):
            x1, y1, x2, y2 = box.astype(int)
            for rule in RULES:
                alone = not changed_blocks(tile[y1:y2, x1:x2], golden[y1:y2, x1:x2], rule).any()
                count[f"unseen {rule}"] += alone and bool(is_found)
                count[f"unseen {rule} {DEEPPCB[int(class_id)].name}"] += alone and bool(is_found)
    return split, group, count


def upper_bound(lost: int, of: int) -> float:
    """One-sided 95 % upper bound of a rate: exact for none lost (1 - 0.05^(1/n)), else Wilson's."""
    if lost == 0 < of:
        return 1 - 0.05 ** (1 / of)
    both_sides = wilson_interval(lost, of, 0.9)
    return math.nan if both_sides is None else both_sides[1]


def row_of(name: str, counts: list[Counter[str]]) -> dict[str, Any]:
    total: Counter[str] = sum(counts, Counter())
    rules = {
        rule: {
            "lost": total[f"lost {rule}"],
            "unseen": total[f"unseen {rule}"],
            "unseen_upper_bound": upper_bound(total[f"unseen {rule}"], total["found once"]),
            "unseen_by_class": {c.name: n for c in DEEPPCB if (n := total[f"unseen {rule} {c.name}"])},
            "skipped": {side: total[f"skipped {side} {rule}"] / total[f"clean {side}"] for side in SIDES},
        }
        for rule in RULES
    }
    return {
        "boards": name,
        "pairs": len(counts),
        "labels_in_tiles": total["labels"],
        "found_in_tiles": total["found"],
        "labels": total["labels once"],
        "found": total["found once"],
        "lost_by_the_product": total["lost by the product"],
        "rules": rules,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--boards", type=int, default=400)
    parser.add_argument("--model", default="builtin:deeppcb")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    jobs: list[BoardPair | tuple[int, float]]
    if arguments.data is None:
        jobs = [(seed, scale) for scale in (1.0, 0.6) for seed in range(arguments.boards)]
    else:
        jobs = [pair for pair in read_deeppcb(arguments.data)[0] if pair.split in ("train", "val")]
    with ProcessPoolExecutor(arguments.processes) as pool:
        done = list(pool.map(count_board, jobs, [arguments.model] * len(jobs), chunksize=10))
    names = list(dict.fromkeys(split for split, _, _ in done))
    rows = [row_of(name, [count for split, _, count in done if split == name]) for name in names]
    for name in sorted({group for split, group, _ in done if split == "val"}):
        of_group = [count for split, group, count in done if (split, group) == ("val", name)]
        rows += [row_of(f"val, {name}", of_group)]
    if arguments.json:
        print(json.dumps({"model": arguments.model, "rows": rows}))
        return
    for row in rows:
        print(f"\n{row['boards']}: {row['pairs']} pairs, {row['found']} of {row['labels']} labels found, ", end="")
        print(f"in tiles {row['found_in_tiles']} times; lost by the product: {row['lost_by_the_product']}\n")
        print("| block | lost in tiles | found without a block | upper bound | 320 px skipped | 640 px skipped |")
        print("|---|---|---|---|---|---|")
        for rule, figures in row["rules"].items():
            skipped = " | ".join(f"{figures['skipped'][side]:.1%}" for side in SIDES)
            cells = f"{figures['lost']} | {figures['unseen']} | {figures['unseen_upper_bound']:.2%}"
            print(f"| {rule} | {cells} | {skipped} |")


if __name__ == "__main__":
    main()
