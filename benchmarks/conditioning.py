"""What a recipe does for camera images: recall and false calls of a shipped model with it and without.

Boards are turned into pictures as a camera would take them: bright copper in colour, softer edges, a lamp at one side,
a vignette, noise. Reference and test image are taken in the same light. The recipe is the one that `suggest_recipe`
gives for the reference, or one with a white image; both are compared with the board as it was scanned.

Run: python benchmarks/conditioning.py [--data PCBData] [--boards 60]
Without --data boards are drawn. Of DeepPCB the trainval list alone is used.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from copperline.data import read_deeppcb, read_pair
from copperline.data.images import Image
from copperline.data.synthetic import generate_pairs
from copperline.detections import Detections
from copperline.errors import DataError
from copperline.evaluation import clean_board
from copperline.evaluation.matching import match
from copperline.inspection import Detector, inspect_arrays
from copperline.reference import Recipe, condition, register, suggest_recipe
from copperline.taxonomy import Call

# Blue, green, red of copper and of laminate under white light, grey levels.
COPPER, LAMINATE = np.array([70.0, 120.0, 215.0]), np.array([60.0, 85.0, 50.0])
WHITE_SHA256 = "0" * 64  # stands for the white image that is passed along


@dataclass(frozen=True)
class Camera:
    """`side` is how bright the dark side is, `vignette` the corners; `noise` a standard deviation, grey levels."""

    name: str
    side: float
    vignette: float
    noise: float
    blur: float

    def light(self, shape: tuple[int, int]) -> np.ndarray:
        y, x = (np.linspace(-1, 1, n) for n in shape)
        falling = 1 - (1 - self.side) * (x[None, :] + 0.6 * y[:, None] + 1.6) / 3.2
        return falling * (1 - (1 - self.vignette) * (x[None, :] ** 2 + y[:, None] ** 2) / 2)

    def picture(self, board: Image, rng: np.random.Generator) -> Image:
        copper = 1 - cv2.GaussianBlur(board, (0, 0), self.blur)[..., None] / 255.0
        return self._taken(copper * COPPER + (1 - copper) * LAMINATE, rng)

    def white(self, shape: tuple[int, int], rng: np.random.Generator) -> Image:
        return self._taken(np.full((*shape, 3), 225.0), rng)

    def _taken(self, colours: np.ndarray, rng: np.random.Generator) -> Image:
        lit = colours * self.light(colours.shape[:2])[..., None] + rng.normal(0, self.noise, colours.shape)
        return np.rint(lit).clip(0, 255).astype(np.uint8)


CAMERAS = (
    Camera("even light", side=0.95, vignette=0.97, noise=2, blur=0.8),
    Camera("lamp at one side", side=0.55, vignette=0.8, noise=4, blur=1.0),
    Camera("bad light, noisy", side=0.35, vignette=0.6, noise=10, blur=1.3),
)


def boards(data: Path | None, count: int) -> Iterator[tuple[Image, Image, Detections]]:
    if data is None:
        yield from generate_pairs(count, seed=11, processes=1)
        return
    dataset, _ = read_deeppcb(data)
    pairs = [pair for pair in dataset if pair.split in ("train", "val")]
    for pair in pairs[:: max(1, len(pairs) // count)][:count]:
        test, reference = read_pair(pair)
        assert reference is not None
        yield test, reference, pair.labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="builtin:deeppcb")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--boards", type=int, default=60)
    arguments = parser.parse_args()
    detector = Detector.load(arguments.model)
    shown = list(boards(arguments.data, arguments.boards))
    print(f"{len(shown)} boards, {arguments.model}\n")
    print("| camera | recipe | recall | false calls per board | clean boards with a false call | not called |")
    print("|---|---|---|---|---|---|")
    print_row(detector, shown, "the scan itself", "none", None)
    for camera in CAMERAS:
        for recipe in ("none", "suggested", "white image"):
            print_row(detector, shown, camera.name, recipe, camera)


def print_row(
    detector: Detector, shown: list[tuple[Image, Image, Detections]], name: str, recipe: str, camera: Camera | None
) -> None:
    rng = np.random.default_rng(5)
    said, labels, clean_calls, called, not_called = [], [], 0, 0, 0
    for test, reference, label in shown:
        clean = clean_board(test, register(test, reference).reference, label)
        for image, wanted in ((test, label), (clean, None)):
            try:
                pair = (image, reference) if camera is None else taken(camera, recipe, image, reference, rng)
                verdict = inspect_arrays(detector, *pair)
            except DataError:
                verdict = None
            withheld = verdict is None or verdict.call is Call.WITHHELD
            if wanted is not None:
                not_called += withheld
                said.append(Detections.empty() if verdict is None else verdict.detections)
                labels.append(wanted)
            elif not withheld:
                called += 1
                clean_calls += verdict.call is Call.FAIL
    matches = match(said, labels)
    found = int(matches.correct.sum())
    recall = found / sum(map(len, labels))
    false = (sum(map(len, said)) - found) / max(1, len(said) - not_called)
    print(
        f"| {name} | {recipe} | {100 * recall:.1f} % | {false:.2f} | {clean_calls} of {called} | "
        f"{not_called} of {len(said)} |"
    )


def taken(camera: Camera, recipe: str, test: Image, reference: Image, rng: np.random.Generator) -> tuple[Image, Image]:
    pictures = camera.picture(test, rng), camera.picture(reference, rng)
    white = camera.white(reference.shape, rng)
    suggested = suggest_recipe(pictures[1]).recipe
    used = {
        "none": Recipe(),
        "suggested": suggested,
        "white image": suggested.model_copy(update={"flat_field": 0.0, "white_image": WHITE_SHA256}),
    }[recipe]
    conditioned = [condition(picture, used, white) for picture in pictures]
    return conditioned[0], conditioned[1]


if __name__ == "__main__":
    main()
