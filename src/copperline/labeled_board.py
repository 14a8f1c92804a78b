"""A labelled board with its images: one row of the table `pcb_labeled_data`, in a database or on its way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import PurePath
from typing import Any

from copperline.errors import DataError

TABLE = "pcb_labeled_data"
"""Snowflake has it in capitals, as each name of a table or column that was made without quotes."""


@dataclass(frozen=True, slots=True)
class LabeledBoard:
    """A labelled image with its bytes: one row.

    Attributes:
        filename: of the test image, unique in the table; its stem is the board's id.
        image_bytes, reference_bytes: encoded images (PNG, JPEG).
        label_text: YOLO lines, `class x_center y_center width height` as fractions of the image.
        split: `train`, `val` or `test`.
        board_group: None: the board is a group of its own.
    """

    filename: str
    image_bytes: bytes
    label_text: str
    split: str
    reference_bytes: bytes | None = None
    board_group: str | None = None

    @property
    def board_id(self) -> str:
        return PurePath(self.filename).stem

    @property
    def size(self) -> int:
        """Bytes of both images."""
        return len(self.image_bytes) + len(self.reference_bytes or b"")


COLUMNS = tuple(field.name for field in fields(LabeledBoard))


def row_of(values: Sequence[Any]) -> LabeledBoard:
    """A row as a database gives it, in the order of `COLUMNS`: bytes of any kind, and None or NaN for null.

    Raises:
        DataError: a value is missing or of another type.
    """
    filename, image, labels, split, reference, group = (None if _is_null(value) else value for value in values)
    if not (isinstance(filename, str) and isinstance(image, _BYTES) and isinstance(split, str)):
        raise DataError(
            f"expected a name, bytes and a split, found {type(filename).__name__}, {type(image).__name__} and "
            f"{type(split).__name__}",
            where=f"{TABLE}, {filename}",
            fix="write the table with `copperline data import`",
        )
    return LabeledBoard(
        filename,
        bytes(image),
        str(labels or ""),
        split,
        None if reference is None else bytes(reference),
        None if group is None else str(group),
    )


_BYTES = (bytes, bytearray, memoryview)


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)
