"""Boards for a simulated line: drawn ones, or the labelled boards of a data set, most of them made good."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from copperline.data import BoardPair, read_pair
from copperline.data.images import Image, encode_image
from copperline.data.synthetic.production import Product
from copperline.detections import Detections
from copperline.errors import DataError
from copperline.evaluation.clean_boards import clean_board
from copperline.reference import register
from copperline.taxonomy import DEEPPCB, Taxonomy
from copperline.warehouse.simulated import OPPORTUNITIES

MOST_DEFECTS = 2


@dataclass(frozen=True, eq=False, slots=True)
class MadeBoard:
    """A board as it comes to a station.

    Attributes:
        image: bytes of the test image's file.
        reference: bytes of its golden image's file; None: the library has its product's.
        labels: what is wrong with it, in px of the test image.
        taxonomy: names the classes of the labels.
    """

    board_id: str
    product_type: str
    image: bytes = field(repr=False)
    reference: bytes | None = field(repr=False)
    labels: Detections
    taxonomy: Taxonomy = DEEPPCB


class BoardSource(Protocol):
    """Where stations get their boards from; called by one thread for each station."""

    def goldens(self) -> dict[str, bytes]:
        """Product -> the golden image that the library is to have; empty: each board brings its own."""
        ...

    def board(self, station: int, number: int) -> MadeBoard:
        """The board `number` of a station, the same each time but for its id."""
        ...


class DrawnBoards:
    """Drawn boards of as many products as there are stations, at most four.

    Args:
        run: goes into the boards' ids, so that two simulations do not make the same boards.
        defective: share of boards with defects, 0-1.
        seed: another seed makes another plant.
        size: px per side.
    """

    def __init__(self, stations: int, *, run: str, defective: float, seed: int = 0, size: int = 640) -> None:
        names = list(OPPORTUNITIES)
        self._products = {
            name: Product(seed, index, size) for index, name in enumerate(names[: max(1, min(stations, len(names)))])
        }
        self._run, self._defective, self._seed = run, defective, seed

    def goldens(self) -> dict[str, bytes]:
        return {name: encode_image(product.golden, ".png") for name, product in self._products.items()}

    def board(self, station: int, number: int) -> MadeBoard:
        name = list(self._products)[station % len(self._products)]
        lot = random.Random(f"{self._seed}:{station}:{number}")
        defects = lot.randint(1, MOST_DEFECTS) if lot.random() < self._defective else 0
        image, labels = self._products[name].board(1_000_000 * station + number, defects)
        return MadeBoard(f"{self._run}-{station + 1}-{number:06d}", name, encode_image(image, ".jpg"), None, labels)


class LabelledBoards:
    """The boards of a data set, over and over in an order of their own; each is sent with its reference.

    Labelled boards are nearly all defective. So that the line looks like one, of most of them every labelled box is
    filled with the reference's pixels, and of the others all but a few.

    Args:
        taxonomy: of the labels.

    Raises:
        DataError: no board has a reference.
    """

    def __init__(
        self, pairs: Sequence[BoardPair], *, run: str, defective: float, seed: int = 0, taxonomy: Taxonomy = DEEPPCB
    ) -> None:
        self._pairs = [pair for pair in pairs if pair.reference_path is not None]
        if not self._pairs:
            raise DataError(
                "expected boards with their references, found none", fix="give a data set in DeepPCB's layout"
            )
        self._run, self._defective, self._seed, self._taxonomy = run, defective, seed, taxonomy

    def goldens(self) -> dict[str, bytes]:
        return {}

    def board(self, station: int, number: int) -> MadeBoard:
        round_, place = divmod(number, len(self._pairs))
        order = random.Random(f"{self._seed}:{station}:{round_}").sample(range(len(self._pairs)), len(self._pairs))
        pair = self._pairs[order[place]]
        lot = random.Random(f"{self._seed}:{station}:{number}")
        kept = lot.randint(1, MOST_DEFECTS) if lot.random() < self._defective else 0
        test, reference = read_pair(pair)
        assert reference is not None  # see __init__
        made = self._made(test, reference, pair.labels[kept:])
        return MadeBoard(
            f"{self._run}-{station + 1}-{number:06d}-{pair.board_id}",
            f"Board {pair.board_group}",
            encode_image(made, ".png"),
            encode_image(reference, ".png"),
            pair.labels[:kept],
            self._taxonomy,
        )

    def _made(self, test: Image, reference: Image, mended: Detections) -> Image:
        return clean_board(test, register(test, reference).reference, mended)
