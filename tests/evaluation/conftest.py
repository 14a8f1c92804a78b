"""Boards with labels and plausible detections: hit, shifted, of the wrong class, doubled, invented."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from copperline.detections import Detections

Boards = tuple[list[Detections], list[Detections]]


def make_boards(
    seed: int, boards: int, *, classes: int = 3, misses: float = 0.1, invented: int = 4, decimals: int = 1
) -> Boards:
    """(detections, labels), one entry per board, on 640 x 640 px; with one decimal, many confidences tie."""
    rng = np.random.default_rng(seed)
    all_detections, all_labels = [], []
    for _ in range(boards):
        n = int(rng.integers(0, 8))
        corner, size = rng.uniform(0, 590, (n, 2)), rng.uniform(20, 50, (n, 2))
        boxes = np.concatenate([corner, corner + size], axis=1)
        ids = rng.integers(0, classes, n)
        all_labels.append(Detections.of(boxes, ids))
        found = np.concatenate([np.flatnonzero(rng.random(n) > misses), rng.integers(0, n, min(n, 2))])
        confused = np.where(rng.random(len(found)) < 0.1, rng.integers(0, classes, len(found)), ids[found])
        shifted = boxes[found] + rng.normal(0, 3, (len(found), 4))
        wrong = rng.uniform(0, 600, (invented, 2))
        all_detections.append(
            Detections.of(
                np.concatenate([shifted, np.concatenate([wrong, wrong + 35], axis=1)]),
                np.concatenate([confused, rng.integers(0, classes, invented)]),
                np.concatenate([rng.uniform(0.3, 1, len(found)), rng.beta(1, 4, invented)]).round(decimals),
            )
        )
    return all_detections, all_labels


@pytest.fixture(name="make_boards", scope="session")
def make_boards_fixture() -> Callable[..., Boards]:
    return make_boards
