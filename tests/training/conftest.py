"""A handful of tiny boards with dark squares as defects: enough to learn from in seconds."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from copperline.data import BoardPair
from copperline.detections import Detections


@pytest.fixture(scope="session")
def tiny_pairs(tmp_path_factory: pytest.TempPathFactory) -> list[BoardPair]:
    folder: Path = tmp_path_factory.mktemp("tiny")
    rng = np.random.default_rng(0)
    pairs = []
    for i in range(8):
        reference = np.full((128, 128), 255, np.uint8)
        reference[:, 20:30] = 0
        test = reference.copy()
        x, y = rng.integers(40, 90, 2)
        test[y : y + 12, x : x + 12] = 0
        box = [x - 8, y - 8, x + 20, y + 20]
        paths = folder / f"{i}_test.png", folder / f"{i}_temp.png"
        for path, image in zip(paths, (test, reference), strict=True):
            cv2.imwrite(str(path), image)
        pairs.append(BoardPair(str(i), "g", "train", *paths, Detections.of([box], [4]), 128, 128))
    return pairs
