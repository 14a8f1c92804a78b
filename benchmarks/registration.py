"""What registration says of true and wrong references, and what trying a change of size changes.

Run: python benchmarks/registration.py [--data PCBData] [--every 10] [--boards 250]
Of DeepPCB the trainval list alone is read: every pair as it is, and of every so-many-th pair the distortions. Without
--data boards are drawn, moved, turned, resized and scanned; what is told is how far from their place their edges lie.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from copperline.data import read_deeppcb, read_pair
from copperline.data.images import Image
from copperline.data.synthetic import BoardStyle, ScanSettings, binarised_scan, draw_board
from copperline.reference import WITHHELD_BELOW, register, registration

Pair = tuple[Image, Image]
SHAPES = ((320, 320), (480, 640), (900, 300), (300, 900), (800, 800))


def without_size(test: Image, reference: Image) -> registration.Registration:
    """As `register`, but neither looking for a change of size nor trying one."""
    before = registration.size_left, registration._SCALE_BELOW
    registration.size_left, registration._SCALE_BELOW = (lambda *_: 0.0), 0.0
    try:
        return register(test, reference)
    finally:
        registration.size_left, registration._SCALE_BELOW = before


def moved(image: Image, x: float = 0, degrees: float = 0, scale: float = 1) -> Image:
    height, width = image.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, scale)
    matrix[0, 2] += x
    return np.asarray(cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def print_misplacements(count: int) -> None:
    """Of each board's copper edges the 95th percentile of their misplacement; boards nearly without copper left out."""
    rng = np.random.default_rng(3)
    found: dict[str, list[float]] = {"with size": [], "without": []}
    for number in range(count):
        height, width = SHAPES[number % len(SHAPES)]
        seed = int(rng.integers(10_000))
        board = draw_board(BoardStyle.of_product(seed), np.random.default_rng(seed), max(height, width)).image()
        golden = board[:height, :width].copy()
        (x, y), degrees, scale = rng.uniform(-14, 14, 2), rng.uniform(-1, 1), rng.uniform(0.98, 1.02)
        if not 0.1 < (golden < 128).mean() < 0.9:
            continue
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, scale)
        matrix[:, 2] += (x, y)
        there = cv2.warpAffine(golden, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        test, reference = (binarised_scan(np.asarray(i, np.uint8), ScanSettings(), rng) for i in (there, golden))
        rows, columns = np.nonzero(cv2.Canny(golden, 100, 200))
        places = columns - (width - 1) / 2 + 1j * (rows - (height - 1) / 2)
        true = places * scale * np.exp(1j * np.radians(degrees)) + complex(x, y)
        for name, how in (("with size", register), ("without", without_size)):
            moved_by = how(test, reference)
            turn = moved_by.scale * np.exp(1j * np.radians(moved_by.rotation))
            wrong = np.abs(places * turn + complex(moved_by.shift_x, moved_by.shift_y) - true)
            found[name].append(float(np.quantile(wrong, 0.95)))
    print("| registration | boards | median board, px | 9 in 10 | 99 in 100 | worst |\n|---|---|---|---|---|---|")
    for name, values in found.items():
        cells = " | ".join(f"{v:.1f}" for v in np.quantile(values, (0.5, 0.9, 0.99, 1)))
        print(f"| {name} | {len(values)} | {cells} |")


def stranger(index: int, groups: list[str]) -> int:
    """The first board of another group, from half the list further on."""
    count = len(groups)
    return next(j % count for j in range(index + count // 2, index + 2 * count) if groups[j % count] != groups[index])


def print_row(name: str, pairs: Iterable[Pair]) -> None:
    found = [(without_size(*pair).score, register(*pair).score) for pair in pairs]
    scores = np.array(found)
    withheld = (scores < WITHHELD_BELOW).sum(axis=0)
    print(f"| {name} | {len(found)} | {withheld[0]} | {withheld[1]} | {scores[:, 1].min():.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--boards", type=int, default=250)
    arguments = parser.parse_args()
    if arguments.data is None:
        print_misplacements(arguments.boards)
        return
    dataset, _ = read_deeppcb(arguments.data)
    listed = [pair for pair in dataset if pair.split in ("train", "val")]
    groups = [pair.board_group for pair in listed]
    pairs = [(test, ref) for pair in listed for test, ref in (read_pair(pair),) if ref is not None]
    print_changes(pairs)
    some = pairs[:: arguments.every]
    far = [stranger(i, groups) for i in range(0, len(pairs), arguments.every)]
    print("| reference | pairs | WITHHELD without trying sizes | WITHHELD | lowest score |\n|---|---|---|---|---|")
    print_row("the board's own", pairs)
    for scale in (0.98, 0.99, 1.01, 1.02):
        print_row(f"the board's own, {scale:g} times as large", ((t, moved(r, scale=scale)) for t, r in some))
    print_row("shifted by 20 px", ((t, moved(r, x=20)) for t, r in some))
    print_row("shifted by 40 px", ((t, moved(r, x=40)) for t, r in some))
    print_row("turned by 3 degrees", ((t, moved(r, degrees=3)) for t, r in some))
    neighbours = [(i, i + 1) for i in range(len(pairs) - 1) if groups[i] == groups[i + 1]]
    print_row("another board of the same group", ((pairs[i][0], pairs[j][1]) for i, j in neighbours[::2][:400]))
    print_row("a board of another group", ((t, pairs[j][1]) for (t, _), j in zip(some, far, strict=True)))
    print_row("mirrored left-right", ((t, np.ascontiguousarray(r[:, ::-1])) for t, r in some))
    print_row("mirrored upside down", ((t, np.ascontiguousarray(r[::-1])) for t, r in some))
    print_row("turned by 180 degrees", ((t, np.ascontiguousarray(r[::-1, ::-1])) for t, r in some))
    print_row("turned by 90 degrees", ((t, np.ascontiguousarray(np.rot90(r))) for t, r in some))
    print_row("inverted", ((t, np.asarray(255 - r, np.uint8)) for t, r in some))
    print_row("white", ((t, np.full_like(r, 255)) for t, r in some))
    print_row("black", ((t, np.zeros_like(r)) for t, r in some))
    rng = np.random.default_rng(0)
    print_row("noise", ((t, rng.integers(0, 256, r.shape).astype(np.uint8)) for t, r in some))


def print_changes(pairs: list[Pair]) -> None:
    """How many true pairs are moved in another way, and what that does to the difference that the detector sees."""
    ratios, times = [], []
    for number, (test, reference) in enumerate(pairs):
        found: dict[bool, registration.Registration] = {}
        spent: dict[bool, float] = {}
        for sized in (False, True) if number % 2 else (True, False):  # in turns, so that neither has a warm cache
            start = time.perf_counter()
            found[sized] = register(test, reference) if sized else without_size(test, reference)
            spent[sized] = time.perf_counter() - start
        if np.array_equal(found[True].reference, found[False].reference):
            times.append(spent[True] / spent[False])
            continue
        differences = [cv2.norm(test, found[sized].reference, cv2.NORM_L1) for sized in (True, False)]
        ratios.append(differences[0] / differences[1])
    low, middle, high = np.quantile(ratios or [1.0], (0, 0.5, 1))
    print(f"{len(ratios)} of {len(pairs)} pairs are resized; what then differs is {middle:.2f} times as much", end=" ")
    print(f"(least {low:.2f}, most {high:.2f})")
    print(f"time of the others, with the check for size over without: {np.median(times):.2f} (median)\n")


if __name__ == "__main__":
    main()
