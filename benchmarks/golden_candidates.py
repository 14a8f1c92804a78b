"""How often `copperline references add` finds the one golden board that has a defect, and how often it suspects none.

Of each product three to five boards are drawn and scanned, each with its own drill shift, misregistration and rough
edges. In half of the sets one board has one defect; sets without any tell of false suspicions.

Run: python benchmarks/golden_candidates.py [--sets 20] [--boards 3 5]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from copperline.data.images import Image
from copperline.data.synthetic import BoardStyle, ScanSettings, binarised_scan, draw_board, draw_defects, misregister
from copperline.detections import Detections, box_iou
from copperline.inspection import Detector
from copperline.taxonomy import DEEPPCB
from copperline.workflows.referencing import Candidate, Check, check_candidates


def scans(seed: int, count: int, defect: int | None) -> tuple[list[Image], Detections]:
    """Boards of one product; the last but one has the defect, if one finds a place."""
    rng = np.random.default_rng([7, seed])
    board = draw_board(BoardStyle.of_product(seed), rng)
    images, labels = [], Detections.empty()
    for n in range(count):
        image = board.image(tuple(rng.uniform(-0.5, 0.5, 2) * ScanSettings().drill_shift))
        if defect is not None and n == count - 2:
            image, labels = draw_defects(image, rng, classes=[defect])
        else:
            image = misregister(image, ScanSettings(), rng)
        images.append(binarised_scan(image, ScanSettings(), rng))
    return images, labels


def checked(detector: Detector, images: list[Image]) -> Check:
    return check_candidates([Candidate(Path(f"{n}.png"), b"", i, i) for n, i in enumerate(images)], detector)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="builtin:deeppcb")
    parser.add_argument("--sets", type=int, default=20)
    parser.add_argument("--boards", type=int, nargs="+", default=[3, 5])
    arguments = parser.parse_args()
    detector = Detector.load(arguments.model)
    print("| boards in the set | defect | found | that board taken as golden | clean boards suspected |")
    print("|---|---|---|---|---|")
    for count in arguments.boards:
        for defect in (*range(len(DEEPPCB)), None):
            print_row(detector, count, defect, arguments.sets)


def print_row(detector: Detector, count: int, defect: int | None, sets: int) -> None:
    drawn = found = taken = suspected = clean = 0
    for n in range(sets):
        images, labels = scans(100 * (6 if defect is None else defect) + n, count, defect)
        if defect is not None and not len(labels):
            continue
        drawn += 1
        check = checked(detector, images)
        for number, candidate in enumerate(check.candidates):
            if defect is not None and number == count - 2:
                boxes = np.array([s.box for s in candidate.suspicions], np.float32).reshape(-1, 4)
                found += bool((box_iou(boxes, labels.boxes) > 0.1).any())
                taken += check.best == number
            else:
                clean += 1
                suspected += bool(candidate.suspicions)
    name = "none" if defect is None else DEEPPCB[defect].name
    result, golden = ("-", "-") if defect is None else (f"{found} of {drawn}", f"{taken} of {drawn}")
    print(f"| {count} | {name} | {result} | {golden} | {suspected} of {clean} |")


if __name__ == "__main__":
    main()
