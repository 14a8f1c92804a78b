"""What a cell of the notebook ends with: a picture with its description, or a table. They need no IPython."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import PIL.Image
from cv2.typing import MatLike
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from copperline.data.images import Image
from copperline.evaluation.pages import NOT_MEASURED

_METADATA = dict[str, str | int]
_COLOURS = 192


@dataclass(frozen=True)
class Picture:
    """A PNG that a notebook shows, with the words that stand for it where it cannot be seen.

    Attributes:
        png: the file's bytes.
        alt: what is to be seen.
        width: it is shown at, px.
    """

    png: bytes
    alt: str
    width: int

    @classmethod
    def of_figure(cls, figure: Figure, alt: str) -> Picture:
        """At the figure's density, shown at 96 px an inch."""
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
        return cls(_png(cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGR)), alt, round(figure.get_figwidth() * 96))

    @classmethod
    def of_image(cls, image: Image, alt: str) -> Picture:
        """From (H, W, 3) BGR uint8, shown as large as it is."""
        return cls(_png(image), alt, image.shape[1])

    def _repr_png_(self) -> tuple[bytes, _METADATA]:
        return self.png, {"alt": self.alt, "width": self.width}

    def __repr__(self) -> str:
        return f"[Picture: {self.alt}]"


@dataclass(frozen=True)
class Table:
    """Rows of text under a head; columns of numbers are set to the right.

    Attributes:
        head: names of the columns.
        rows: each as long as the head.

    >>> Table(("class", "labels"), (("open", "12"), ("spur", "7")))
    class  labels
    open       12
    spur        7
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        wrong = [row for row in self.rows if len(row) != len(self.head)]
        if wrong:
            raise ValueError(f"expected rows of {len(self.head)} cells, found {list(wrong[0])}")

    def __repr__(self) -> str:
        lines = [self.head, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.head))]
        numbers = self._numbers()
        return "\n".join(
            "  ".join(
                cell.rjust(width) if number else cell.ljust(width)
                for cell, width, number in zip(line, widths, numbers, strict=True)
            ).rstrip()
            for line in lines
        )

    def _repr_html_(self) -> str:
        numbers = self._numbers()

        def row(cells: Sequence[str], tag: str) -> str:
            return "".join(
                f'<{tag} style="text-align: {"right" if number else "left"}">{html.escape(cell)}</{tag}>'
                for cell, number in zip(cells, numbers, strict=True)
            )

        body = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in self.rows)
        return f"<table><thead><tr>{row(self.head, 'th')}</tr></thead><tbody>{body}</tbody></table>"

    def _numbers(self) -> list[bool]:
        """Which columns hold numbers alone, perhaps with an interval or a unit."""
        return [
            bool(self.rows) and all(row[i][:1].isdigit() or row[i] in ("", NOT_MEASURED) for row in self.rows)
            for i in range(len(self.head))
        ]


def per_cent(value: float | None, interval: tuple[float, float] | None = None) -> str:
    """A fraction for people, with its interval if there is one.

    >>> per_cent(0.9751, (0.95, 0.99)), per_cent(0.5), per_cent(None)
    ('97.5 % (95.0 - 99.0)', '50.0 %', 'not measured')
    """
    if value is None:
        return NOT_MEASURED
    text = f"{100 * value:.1f} %"
    return text if interval is None else f"{text} ({100 * interval[0]:.1f} - {100 * interval[1]:.1f})"


def _png(image: MatLike) -> bytes:
    """In a palette: boards and figures have few colours, and a notebook keeps its pictures inside itself."""
    buffer = io.BytesIO()
    colours = PIL.Image.fromarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).quantize(
        _COLOURS, PIL.Image.Quantize.MAXCOVERAGE, dither=PIL.Image.Dither.NONE
    )
    colours.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
