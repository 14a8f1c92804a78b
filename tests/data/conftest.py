"""Small boards on disk, in DeepPCB's layout."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

SIDE = 64
ANNOTATION = "10 10 30 30 1\n20 32 40 52 6\n"
Tree = Callable[..., Path]


def board_image(name: str, side: int = SIDE) -> npt.NDArray[np.uint8]:
    """Dark tracks on a light background; each name has its own."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    image = np.full((side, side), 255, np.uint8)
    for row in rng.integers(0, side - 3, size=6):
        image[row : row + 3] = 0
    return image


def write_board(root: Path, group: str, board: str, annotation: str = ANNOTATION) -> str:
    """Writes one pair and its annotation; gives its line for the list."""
    images = root / group / board[:5]
    labels = root / group / f"{board[:5]}_not"
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    for kind in ("test", "temp"):
        cv2.imwrite(str(images / f"{board}_{kind}.png"), board_image(f"{board}{kind}"))
    (labels / f"{board}.txt").write_text(annotation)
    return f"{group}/{board[:5]}/{board}.png {group}/{board[:5]}_not/{board}.txt"


@pytest.fixture
def make_deeppcb(tmp_path: Path) -> Tree:
    """make_deeppcb(trainval={group: boards}, test={group: boards}) -> folder; a list that is None isn't written."""

    def make(
        trainval: Mapping[str, Sequence[str]] | None = None,
        test: Mapping[str, Sequence[str]] | None = None,
        name: str = "PCBData",
    ) -> Path:
        root = tmp_path / name
        root.mkdir()
        for file, groups in (("trainval.txt", trainval), ("test.txt", test)):
            if groups is not None:
                lines = [write_board(root, group, board) for group, boards in groups.items() for board in boards]
                (root / file).write_text("".join(line + "\n" for line in lines))
        return root

    return make


@pytest.fixture
def deeppcb(make_deeppcb: Tree) -> Path:
    """Two training groups of two boards, one test board."""
    return make_deeppcb(
        {"group77000": ["77000000", "77000001"], "group92000": ["92000000", "92000001"]}, {"group12000": ["12000000"]}
    )
