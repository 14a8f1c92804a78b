"""Draws docs/images/findings.png: what a shipped model finds on a generated board.

DeepPCB's images stay out of the repository, so the board is one that nothing is trained on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from copperline.data import write_image
from copperline.data.synthetic import synthetic_pair
from copperline.evaluation import pair_panel
from copperline.inspection import Detector
from copperline.settings import Settings

TARGET = Path(__file__).parents[1] / "docs" / "images" / "findings.png"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--model", default="builtin:golden-only")
    parser.add_argument("--seed", type=int, default=2028)
    arguments = parser.parse_args()
    detector = Detector.load(arguments.model, settings=Settings.load(arguments.workspace))
    test, reference, labels = synthetic_pair(arguments.seed)
    found = detector(test, reference)
    write_image(TARGET, pair_panel(test, reference, found, detector.taxonomy, labels))
    print(f"{len(found)} detections beside {len(labels)} defects: {TARGET}")


if __name__ == "__main__":
    main()
