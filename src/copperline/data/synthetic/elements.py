"""What boards are made of.

Each function tries to place one element on a canvas and leaves out what does not fit.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from copperline.data.synthetic.shapes import (
    HEADINGS,
    Block,
    Canvas,
    Disc,
    Line,
    Points,
    Shape,
    octilinear_path,
    parallel_path,
)
from copperline.data.synthetic.styles import BoardStyle

_OUTSIDE = 60  # paths start and end this far outside the canvas, so that their ends don't show


def draw_bundle(canvas: Canvas, style: BoardStyle, rng: np.random.Generator) -> None:
    """Parallel traces from the left edge to the right, some of them ending on the way in a pad or a via."""
    size = canvas.size
    count = int(rng.integers(1, style.bundle_size + 1))
    width = style.trace_width * (float(rng.uniform(1.3, 2.2)) if rng.random() < 0.25 else 1.0)
    pitch = width + style.gap + float(rng.integers(1, 5))
    start = (-float(_OUTSIDE), float(rng.uniform(0, size)))
    middle = _wandering_path(start, 0, size + 3 * _OUTSIDE, rng)
    ends_inside = rng.random() < 0.3
    for i in range(count):
        path = parallel_path(middle, (i - (count - 1) / 2) * pitch)
        if ends_inside:
            path = _shortened(path, float(rng.uniform(0.15, 0.6)) * size)
            pad, hole = _end_pad(path[-1], style, rng)
            if canvas.place([Line(path, width), pad], hole):
                continue
        canvas.place([Line(path, width)])


def draw_pad_row(canvas: Canvas, style: BoardStyle, rng: np.random.Generator) -> None:
    """One side of a surface-mount part, or a pair of them: pads in a row, each with a trace that escapes from it."""
    count = int(rng.integers(2, 9))
    width, length = style.pad_width, style.pad_length
    pitch = width + style.gap + float(rng.uniform(2, 14))
    x0, y0 = rng.uniform(0, canvas.size, 2)
    up = 6 if rng.random() < 0.5 else 2
    facing = rng.random() < 0.5
    for row in range(2 if facing else 1):
        heading = up if row == 0 else (up + 4) % 8
        y = y0 if row == 0 else y0 - HEADINGS[up][1] * (length + style.gap + 60)
        for i in range(count):
            _pad_with_escape(canvas, style, rng, Block(x0 + i * pitch, y, width, length, style.pad_chamfer), heading)


def draw_header(canvas: Canvas, style: BoardStyle, rng: np.random.Generator) -> None:
    """A row of drilled pads, round, square or oblong, each with a trace to somewhere."""
    count = int(rng.integers(2, 7))
    radius = style.pad_radius
    pitch = 2 * radius + style.gap + float(rng.uniform(4, 30))
    oblong = float(rng.choice([0, 0, 0.8])) * radius
    x, y0 = rng.uniform(0.1, 0.9) * canvas.size, rng.uniform(-0.2, 0.6) * canvas.size
    heading = 0 if rng.random() < 0.5 else 4
    for i in range(count):
        y = y0 + i * pitch
        hole = [Disc(x, y, style.drill_radius)]
        ends = np.array([[x - oblong, y], [x + oblong, y]])
        pad: Shape = Line(ends, 2 * radius) if i or oblong else Block(x, y, 2 * radius, 2 * radius)
        escape = _escape((float(x), float(y)), heading, style, rng)
        if not canvas.place([pad, escape], hole):
            canvas.place([pad], hole)


def draw_grid(canvas: Canvas, style: BoardStyle, rng: np.random.Generator) -> None:
    """Round pads in a grid, as under a ball-grid array; some have a short diagonal trace to a via."""
    radius = float(np.clip(style.pad_radius * 0.75, 12, 26))
    pitch = 2 * radius + 2 * style.gap + 2 * style.trace_width
    columns, rows = rng.integers(3, 8, 2)
    x0, y0 = rng.uniform(-0.2, 0.7, 2) * canvas.size
    via_share = rng.uniform(0, 0.6)
    via = min(radius * 0.8, pitch / np.sqrt(2) - radius - style.gap)
    for row in range(rows):
        for column in range(columns):
            x, y = x0 + column * pitch, y0 + row * pitch
            pad = Disc(x, y, radius)
            if via > 6 and rng.random() < via_share:
                centre = (x + pitch / 2, y + pitch / 2)
                dogbone: list[Shape] = [pad, Line(np.array([(x, y), centre]), style.trace_width), Disc(*centre, via)]
                if canvas.place(dogbone, [Disc(*centre, via * 0.45)] if via > 12 else []):
                    continue
            canvas.place([pad])


def draw_land(canvas: Canvas, style: BoardStyle, rng: np.random.Generator) -> None:
    """One large piece of copper: a disc (with or without a hole), a chamfered block, or an oblong."""
    x, y = rng.uniform(0, canvas.size, 2)
    width, height = rng.uniform(1.2, 4.0, 2) * style.pad_radius + 20
    kind = rng.integers(3)
    if kind == 0:
        hole = [Disc(x, y, width * rng.uniform(0.35, 0.6))] if rng.random() < 0.6 else []
        canvas.place([Disc(x, y, width)], hole)
    elif kind == 1:
        canvas.place([Block(x, y, 2 * width, 2 * height, min(width, height) * rng.uniform(0, 0.6))])
    else:
        ends = np.array([[x - height, y], [x + height, y]])
        canvas.place([Line(ends, width)], [Disc(x - height, y, width * 0.25), Disc(x + height, y, width * 0.25)])


def draw_link(canvas: Canvas, style: BoardStyle, rng: np.random.Generator) -> None:
    """A single trace between two pads or vias."""
    start = rng.uniform(0, canvas.size, 2)
    path = _wandering_path((start[0], start[1]), int(rng.integers(8)), rng.uniform(0.15, 0.7) * canvas.size, rng)
    first, first_hole = _end_pad(path[0], style, rng)
    last, last_hole = _end_pad(path[-1], style, rng)
    canvas.place([first, Line(path, style.trace_width), last], [*first_hole, *last_hole])


def draw_cut(canvas: Canvas, style: BoardStyle, rng: np.random.Generator) -> None:
    """A strip or a disc without copper, which shows where the board is poured."""
    x, y = rng.uniform(0, canvas.size, 2)
    if rng.random() < 0.3:
        canvas.reserve(Disc(x, y, float(rng.uniform(30, 110))))
        return
    heading = int(rng.choice([0, 2, 2, 1]))
    start = np.array([x, y]) - HEADINGS[heading] * 1.5 * canvas.size
    path = _wandering_path((start[0], start[1]), heading, 3.0 * canvas.size, rng)
    canvas.reserve(Line(path, style.gap * float(rng.uniform(0.8, 2.5))))


def draw_pour(canvas: Canvas, style: BoardStyle, rng: np.random.Generator) -> None:
    """Copper over the style's share of the board, kept clear of everything placed before."""
    share = style.pour
    if share <= 0:
        return
    region = np.full_like(canvas.copper, 255)
    if share < 1:
        # A half plane that is cut off at 0 or 45 degrees.
        normal = HEADINGS[rng.integers(8)]
        middle = np.array([canvas.size / 2, canvas.size / 2]) + normal * canvas.size * (share - 0.5)
        along = np.array([-normal[1], normal[0]]) * 3 * canvas.size
        far = middle + normal * 3 * canvas.size
        corners = np.stack([middle - along, middle + along, far + along, far - along]).astype(np.int32)
        cv2.fillPoly(region, [corners], 0)
    canvas.pour(region, least_width=max(9, style.trace_width))


ELEMENTS: dict[str, Callable[[Canvas, BoardStyle, np.random.Generator], None]] = {
    "lands": draw_land,
    "headers": draw_header,
    "grids": draw_grid,
    "pad_rows": draw_pad_row,
    "bundles": draw_bundle,
    "links": draw_link,
    "cuts": draw_cut,
}
"""Element by the name of its count in `BoardStyle`, in the order of placement: large things first."""


def _wandering_path(start: tuple[float, float], heading: int, length: float, rng: np.random.Generator) -> Points:
    """A path of about `length` pixels that bends by 45 degrees now and then and always bends back."""
    lengths: list[float] = []
    turns: list[int] = []
    straight = True
    while sum(lengths) < length:
        if straight:
            lengths.append(length * float(rng.uniform(0.2, 0.7)))
            turn = int(rng.choice([-1, 1]))
        else:
            lengths.append(length * float(rng.uniform(0.05, 0.3)))
            turn = -turn
        turns.append(turn)
        straight = not straight
    return octilinear_path(start, heading, lengths, turns[:-1])


def _shortened(path: Points, length: float) -> Points:
    """The beginning of a path, `length` pixels beyond the part that is outside the canvas."""
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    ends = np.cumsum(steps)
    target = min(length + _OUTSIDE, ends[-1])
    last = int(np.searchsorted(ends, target))
    part = 1 - (ends[last] - target) / steps[last]
    end = path[last] + (path[last + 1] - path[last]) * part
    return np.concatenate([path[: last + 1], end[None]])


def _end_pad(centre: Points, style: BoardStyle, rng: np.random.Generator) -> tuple[Shape, list[Disc]]:
    """What a trace ends in: a round pad, drilled or not, or a square one."""
    x, y = centre.tolist()
    radius = max(style.trace_width * 0.8, style.pad_radius * float(rng.choice([0.5, 0.8])))
    kind = rng.integers(3)
    if kind == 0:
        return Block(x, y, 2 * radius, 2 * radius, style.pad_chamfer), []
    return Disc(x, y, radius), [Disc(x, y, radius * 0.45)] if kind == 1 and radius > 14 else []


def _escape(start: tuple[float, float], heading: int, style: BoardStyle, rng: np.random.Generator) -> Line:
    turn = int(rng.choice([-1, 0, 1]))
    lengths = rng.uniform([60, 20, 40], [120, 80, 400]).tolist()
    return Line(octilinear_path(start, heading, lengths, [turn, -turn]), style.trace_width)


def _pad_with_escape(canvas: Canvas, style: BoardStyle, rng: np.random.Generator, pad: Block, heading: int) -> None:
    escape = _escape((pad.x, pad.y), heading, style, rng)
    end, hole = _end_pad(escape.points[-1], style, rng)
    # Whatever fits: a pad with a trace to a via, with the trace alone, or alone.
    if not (canvas.place([pad, escape, end], hole) or canvas.place([pad, escape])):
        canvas.place([pad])
