"""Board pairs: a test image, its reference, its labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from copperline.detections import Detections
from copperline.errors import DataError
from copperline.taxonomy import DEEPPCB, Taxonomy

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class BoardPair:
    """One inspected board on disk.

    Attributes:
        board_id: unique in its data set, e.g. `20085000`.
        board_group: boards of one product or plate; a group is never in two of train and val.
        split: `train`, `val` or `test`.
        test_path: the image that may have defects.
        reference_path: the golden image of the same board, or None. It never has labels.
        labels: the defects on the test image, in its pixels; confidence 1.
        false_calls: places without a defect that a model called one, in the test image's pixels, with the class that it
            said; training looks there as often as at defects.
        width, height: pixels of both images.
    """

    board_id: str
    board_group: str
    split: Split
    test_path: Path
    reference_path: Path | None
    labels: Detections
    width: int
    height: int
    false_calls: Detections = field(default_factory=Detections.empty)


@dataclass(frozen=True)
class BoardDataset:
    """Board pairs with their taxonomy.

    Attributes:
        name: for people and file names.
        source: where it came from: a path, a URL or `synthetic`.
        pairs: in a stable order.
        parts: for a data set that was put together from several, which of them each pair is of; empty: it was not.
    """

    name: str
    source: str
    pairs: tuple[BoardPair, ...]
    taxonomy: Taxonomy = field(default=DEEPPCB)
    parts: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[BoardPair]:
        return iter(self.pairs)

    def split(self, name: Split) -> tuple[BoardPair, ...]:
        """The pairs of one split; raises DataError if it is empty."""
        pairs = tuple(p for p in self.pairs if p.split == name)
        if not pairs:
            have = sorted({p.split for p in self.pairs})
            raise DataError(
                f"expected boards in split {name!r}, found only {', '.join(have) or 'no boards'}",
                where=self.source,
                fix="choose another split or import a data set that has it",
            )
        return pairs

    def parts_of(self, name: Split) -> tuple[int, ...]:
        """For each pair of one split, which of the data sets it is of; empty if there was but one."""
        return (
            tuple(part for pair, part in zip(self.pairs, self.parts, strict=True) if pair.split == name)
            if self.parts
            else ()
        )
