"""Label rows of any format: read with the file and line of every fault, checked, and cut to the image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from copperline.detections import Detections
from copperline.errors import DataError
from copperline.taxonomy import Taxonomy

# A box may pass the border by this many pixels from rounding alone; that is neither an error nor worth counting.
_ROUNDING = 0.01


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One labelled defect as a file states it.

    Attributes:
        class_id: index into the taxonomy.
        box: x1, y1, x2, y2 in pixels, not yet checked against the image.
        where, line: its file, and its 1-based line if the file has lines.
    """

    class_id: int
    box: tuple[float, float, float, float]
    where: Path
    line: int | None = None

    def fault(self, problem: str) -> DataError:
        return DataError(problem, where=self.where, line=self.line, fix="correct the label")


def read_numbers(path: Path, expected: str, count: int) -> Iterator[tuple[int, list[float]]]:
    """Each line of a text file as numbers, separated by spaces, tabs or commas; empty lines are passed over.

    Args:
        expected: the columns in words, for the error.
        count: how many numbers a line has.

    Yields:
        The 1-based line number and the numbers, all finite.

    Raises:
        DataError: the file is missing or no text, or a line has another count or something that is no number.
    """
    for number, text in read_lines(path):
        fields = text.replace(",", " ").split()
        try:
            values = [float(field) for field in fields]
        except ValueError:
            values = []
        if len(values) != count or not all(map(math.isfinite, values)):
            raise DataError(
                f"expected {count} numbers ({expected}), found {text[:60]!r}",
                where=path,
                line=number,
                fix="correct the line",
            )
        yield number, values


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a UTF-8 text file with their 1-based numbers, stripped, without the empty ones."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError("expected a text file, found no file", where=path, fix="check the path") from error
    except OSError as error:
        raise DataError(
            f"the file cannot be read ({error.strerror})", where=path, fix="check its permissions"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError("expected UTF-8 text, found other bytes", where=path, fix="export the file again") from error
    return [(i, line.strip()) for i, line in enumerate(text.splitlines(), start=1) if line.strip()]


def class_index(value: float, first: int, count: int, where: Path, line: int) -> int:
    """0-based index of a class number, of `count` that start at `first`; raises DataError for an unknown one."""
    if not value.is_integer() or not first <= value < first + count:
        raise DataError(
            f"expected a class from {first} to {first + count - 1}, found {value:g}",
            where=where,
            line=line,
            fix="correct the class or give the taxonomy that has it",
        )
    return int(value) - first


def class_ids_by_name(names: Sequence[str], taxonomy: Taxonomy, where: Path) -> list[int]:
    """For each class name of a file, the taxonomy's id; case, spaces and underscores do not matter.

    >>> from copperline.taxonomy import DEEPPCB
    >>> class_ids_by_name(["Pin_hole", "open"], DEEPPCB, Path("data.yaml"))
    [5, 0]
    """
    known = {_plain(name): class_id for class_id, name in enumerate(taxonomy.names)}
    unknown = [name for name in names if _plain(name) not in known]
    if unknown:
        raise DataError(
            f"expected classes of the taxonomy ({', '.join(taxonomy.names)}), found {', '.join(unknown)}",
            where=where,
            fix="rename them or give a taxonomy that has them",
        )
    return [known[_plain(name)] for name in names]


def fit_labels(rows: Sequence[LabelRow], width: int, height: int) -> tuple[Detections, int]:
    """The rows as labels of an image of `width` x `height` pixels.

    Returns:
        The labels, in the order of the rows, and how many boxes were cut because they reached over the border.

    Raises:
        DataError: a box is inverted or without area, or lies wholly outside the image.
    """
    clipped = 0
    boxes = np.empty((len(rows), 4), dtype=np.float64)
    for i, row in enumerate(rows):
        x1, y1, x2, y2 = row.box
        if not (x1 < x2 and y1 < y2):
            raise row.fault(f"expected x1 < x2 and y1 < y2, found the box {_text(row.box)}")
        if x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
            raise row.fault(f"expected a box on the {width} x {height} image, found {_text(row.box)} outside it")
        boxes[i] = max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))
        clipped += bool(np.abs(boxes[i] - row.box).max() > _ROUNDING)
    return Detections.of(boxes, [row.class_id for row in rows]), clipped


def _plain(name: str) -> str:
    return name.strip().casefold().replace("_", "-").replace(" ", "-")


def _text(box: tuple[float, float, float, float]) -> str:
    return " ".join(f"{value:g}" for value in box)
