"""Styles: what the boards of one product have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class BoardStyle:
    """What the boards of one product have in common; lengths in pixels.

    Attributes:
        trace_width: of signal traces; some bundles are up to twice as wide.
        gap: least distance between nets.
        bundle_size: most traces that run side by side.
        pad_length, pad_width: of surface-mount pads.
        pad_radius: of round pads.
        drill_radius: of the holes in vias and headers.
        pad_chamfer: cut corners of surface-mount pads.
        rounding: sigma of the smoothing that rounds all corners.
        rotated: the board lies with its traces vertical.
        bundles, pad_rows, headers, grids, lands, links, cuts: expected number of each element on 640 x 640 px.
        pour: share of the board, 0-1, whose free area is filled with copper.
    """

    trace_width: int
    gap: int
    bundle_size: int
    pad_length: int
    pad_width: int
    pad_radius: int
    drill_radius: int
    pad_chamfer: int
    rounding: float
    rotated: bool
    bundles: float = 0.0
    pad_rows: float = 0.0
    headers: float = 0.0
    grids: float = 0.0
    lands: float = 0.0
    links: float = 0.0
    cuts: float = 0.0
    pour: float = 0.0

    @classmethod
    def of_product(cls, product: int) -> BoardStyle:
        """The style of a product; the same number always gives the same style.

        >>> BoardStyle.of_product(3) == BoardStyle.of_product(3) != BoardStyle.of_product(4)
        True
        """
        rng = np.random.default_rng([product, 0x5717E])
        family = _FAMILIES[(product + int(rng.integers(2))) % len(_FAMILIES)]
        low, high = family.trace_width
        trace_width = int(rng.integers(low, high + 1))
        gap = int(rng.integers(max(9, trace_width - 6), trace_width + 8))
        pad_radius = int(rng.integers(16, 46))
        return cls(
            trace_width=trace_width,
            gap=gap,
            bundle_size=family.most_traces,
            pad_length=int(rng.integers(40, 110)),
            pad_width=int(rng.integers(24, 64)),
            pad_radius=pad_radius,
            drill_radius=max(6, int(pad_radius * rng.uniform(0.3, 0.5))),
            pad_chamfer=int(rng.choice([0, 4, 10])),
            # More smoothing than this would wash away thin traces and narrow gaps.
            rounding=float(rng.uniform(0.8, min(4.0, trace_width / 3, gap / 3))),
            rotated=bool(rng.integers(2)),
            pour=family.pour,
            **{name: count * float(rng.uniform(0.7, 1.3)) for name, count in family.counts.items()},
        )


@dataclass(frozen=True, slots=True)
class _Family:
    trace_width: tuple[int, int]
    most_traces: int
    counts: dict[str, float]
    pour: float = 0.0


_FAMILIES = (
    _Family((11, 22), 14, {"bundles": 8, "headers": 0.7, "links": 4, "lands": 1.5}, 0.35),  # buses
    _Family((7, 16), 5, {"pad_rows": 6, "bundles": 3, "links": 12, "lands": 1}),  # surface-mount parts
    _Family((16, 32), 4, {"headers": 3, "bundles": 4, "links": 7, "lands": 3}),  # through-hole parts
    _Family((14, 24), 5, {"bundles": 3, "headers": 0.7, "cuts": 4, "lands": 1}, 1.0),  # planes
    _Family((7, 13), 5, {"grids": 1.6, "bundles": 3, "links": 9}),  # ball grids
    _Family((12, 28), 3, {"lands": 3, "links": 4, "headers": 1, "bundles": 1}),  # sparse
    _Family((11, 20), 9, {"bundles": 5, "pad_rows": 2, "cuts": 1.5, "links": 5, "lands": 1}, 0.6),  # mixed
)
