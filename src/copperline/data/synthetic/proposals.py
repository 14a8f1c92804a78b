"""Where a hand would paint a defect of each class, and with what stroke; what it really does is judged later."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from copperline.data.synthetic.shapes import Points
from copperline.data.synthetic.sizes import DefectSizes
from copperline.data.synthetic.strokes import Blob, hooked_path, paint, scribbled_path, towards, wandering_path
from copperline.data.synthetic.workpiece import Workpiece

Propose = Callable[[Workpiece, DefectSizes, np.random.Generator], Blob | None]


def propose_open(piece: Workpiece, sizes: DefectSizes, rng: np.random.Generator) -> Blob | None:
    """Across a trace or pad, from a little outside of one edge to a little outside of the other."""
    ends = _chord(piece, sizes, rng, of_copper=True, overshoot=(-0.5, 3.0))
    if ends is None:
        return None
    start, end = ends
    if rng.random() < 0.5:
        return _scribble(start, end, sizes, rng, width=(3, 14), radius=(0.7, 2.0))
    return paint(_bent(start, end, 0.12, rng), sizes.scale * rng.uniform(1.0, 5.0))


def propose_short(piece: Workpiece, sizes: DefectSizes, rng: np.random.Generator) -> Blob | None:
    """Across a gap, from a little inside of one edge to a little inside of the other."""
    ends = _chord(piece, sizes, rng, of_copper=False, overshoot=(0.0, 4.0))
    if ends is None:
        return None
    start, end = ends
    style = rng.random()
    if style < 0.12:
        return _scribble(start, end, sizes, rng, width=(3, 12), radius=(0.9, 1.8))
    radius = sizes.scale * rng.uniform(1.3, 4.0)
    return paint(_bent(start, end, 0.12, rng), radius, radius * rng.uniform(1.0, 1.7) if style < 0.22 else 0.0)


def propose_mousebite(piece: Workpiece, sizes: DefectSizes, rng: np.random.Generator) -> Blob | None:
    """From an edge, or a little outside of it, into the copper."""
    edge = _edge(piece, rng)
    if edge is None:
        return None
    point, outward = edge
    inward = outward + np.pi
    if rng.random() < 0.6:
        length = sizes.scale * _long_tailed(rng, 11, 0.4, 30)
        heading = inward + rng.normal(0, 0.9)
        way = length * towards(heading)
        start = point + rng.uniform(-1, 2) * towards(outward)
        return _scribble(start, start + way, sizes, rng, width=(3, 12), radius=(0.7, 1.8))
    return _stroke(point, inward, sizes, rng, length=9)


def propose_spur(piece: Workpiece, sizes: DefectSizes, rng: np.random.Generator) -> Blob | None:
    """From an edge, or a little inside of the copper, out onto the laminate."""
    edge = _edge(piece, rng)
    if edge is None:
        return None
    point, outward = edge
    if rng.random() < 0.15:
        # Along the edge, as a ragged fringe.
        way = sizes.scale * _long_tailed(rng, 18, 0.5, 60) * towards(outward + np.pi / 2)
        return _scribble(point - way / 2, point + way / 2, sizes, rng, width=(6, 16), radius=(0.9, 2.2))
    return _stroke(point, outward, sizes, rng, length=11)


def propose_copper(piece: Workpiece, sizes: DefectSizes, rng: np.random.Generator) -> Blob | None:
    return _inside(piece, sizes, rng, of_copper=False)


def propose_pin_hole(piece: Workpiece, sizes: DefectSizes, rng: np.random.Generator) -> Blob | None:
    return _inside(piece, sizes, rng, of_copper=True)


def _inside(piece: Workpiece, sizes: DefectSizes, rng: np.random.Generator, *, of_copper: bool) -> Blob | None:
    point = piece.random_inside(rng, sizes.clearance + 3.0, of_copper=of_copper)
    if point is None:
        return None
    start = np.array(point, np.float64)
    heading = rng.uniform(0, 2 * np.pi)
    if rng.random() < 0.2:
        way = sizes.scale * _long_tailed(rng, 10, 0.5, 60) * towards(heading)
        return _scribble(start, start + way, sizes, rng, width=(3, 10), radius=(1.0, 2.2))
    return _stroke(start, heading, sizes, rng, length=20, widest=8.0, back=0.0)


def _scribble(
    start: Points,
    end: Points,
    sizes: DefectSizes,
    rng: np.random.Generator,
    *,
    width: tuple[float, float],
    radius: tuple[float, float],
) -> Blob:
    """To and fro from start to end; `width` of the scribble and `radius` of the brush: least and greatest, pixels."""
    path = scribbled_path(start, end, sizes.scale * rng.uniform(*width), rng)
    return paint(path, sizes.scale * rng.uniform(*radius))


def _stroke(
    point: Points,
    heading: float,
    sizes: DefectSizes,
    rng: np.random.Generator,
    *,
    length: float,
    widest: float = 6.5,
    back: float = 3.0,
) -> Blob:
    """A dot, a bar, a wandering stroke or a hook that begins up to `back` pixels behind `point`.

    Args:
        length: median in pixels; it varies widely.
        widest: greatest radius of the brush, pixels.
    """
    radius = sizes.scale * rng.uniform(2.0, widest)
    start = point - rng.uniform(0, back) * towards(heading)
    reach = sizes.scale * _long_tailed(rng, length, 0.55, 60)
    heading += rng.normal(0, 0.45)
    style = rng.random()
    if style < 0.25:
        path = (start + 0.4 * reach * rng.random() * towards(heading))[None]
    elif style < 0.75:
        path = wandering_path(start, heading, reach, rng.choice([0.05, 0.4, 0.8]), rng)
    else:
        path = hooked_path(start, heading, 1.3 * reach, rng)
    apart = rng.random() < 0.12 and len(path) > 1
    return paint(path, radius, radius * rng.uniform(1.0, 2.2) if apart else 0.0)


def _chord(
    piece: Workpiece,
    sizes: DefectSizes,
    rng: np.random.Generator,
    *,
    of_copper: bool,
    overshoot: tuple[float, float],
) -> tuple[Points, Points] | None:
    """A way across copper, or across a gap, that reaches beyond both of its edges."""
    point = piece.random_middle(rng, of_copper=of_copper)
    ends = None if point is None else piece.chord(*point, sizes.scale * sizes.longest, rng)
    if ends is None:
        return None
    way = ends[1] - ends[0]
    along = way / np.hypot(*way)
    before, after = sizes.scale * rng.uniform(*overshoot, 2)
    return ends[0] - along * before, ends[1] + along * after


def _bent(start: Points, end: Points, bend: float, rng: np.random.Generator) -> Points:
    """A way from start to end through a middle that lies off the straight one, by about `bend` of its length."""
    way = end - start
    across = np.array([-way[1], way[0]])
    at = rng.uniform(0.3, 0.7)
    return np.stack([start, start + at * way + rng.normal(0, bend) * across, end])


def _edge(piece: Workpiece, rng: np.random.Generator) -> tuple[Points, float] | None:
    point = piece.random_edge(rng)
    outward = None if point is None else piece.outward(*point)
    return None if point is None or outward is None else (np.array(point, np.float64), outward)


def _long_tailed(rng: np.random.Generator, median: float, spread: float, longest: float) -> float:
    """A log-normal length, pixels, at least 1."""
    return float(np.clip(median * np.exp(spread * rng.standard_normal()), 1.0, longest))
