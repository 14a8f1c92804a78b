"""What a painted patch does to a board, as a person who looks at its surroundings would name it.

Copper is connected over 8 neighbours and laminate over 4, so that the two can never cross each other in one pixel.
Pieces of copper or laminate are told apart within a window around the patch: whether two traces meet again a board's
width away is not seen, and an inspector calls their bridge a short all the same.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from copperline.data.synthetic.shapes import GreyImage

SPECK = 24
"""Square pixels: less copper or laminate than this is a fleck that a ragged defect leaves, and no piece of its own."""


def effect_of_copper(before: GreyImage, added: GreyImage) -> str | None:
    """The class of a defect that adds copper: "copper", "spur" or "short"; None if nothing is added.

    Args:
        before: (H, W) uint8, 1 on copper.
        added: (H, W) uint8, 1 where laminate becomes copper.
    """
    if not added.any():
        return None
    touched = _pieces(before, connectivity=8, near=added)
    if touched == 0:
        return "copper"
    # One piece that is joined with itself encloses laminate: two arms of a trace are bridged.
    if touched > 1 or _laminate(before | added) > _laminate(before):
        return "short"
    return "spur"


def effect_of_etching(before: GreyImage, removed: GreyImage) -> str | None:
    """The class of a defect that takes copper away: "open", "mousebite" or "pin-hole"; None if nothing is taken.

    Args:
        before: (H, W) uint8, 1 on copper.
        removed: (H, W) uint8, 1 where copper becomes laminate.
    """
    if not removed.any():
        return None
    # A stroke may leave flecks within itself; they are no ends of a cut net.
    if _pieces(before - removed, connectivity=8) > _pieces(before, connectivity=8):
        return "open"
    return "mousebite" if (grown(removed, 1) & (1 - before)).any() else "pin-hole"


def grown(mask: GreyImage, pixels: int) -> GreyImage:
    """The mask dilated by a square of 2 `pixels` + 1, so that diagonal neighbours count; same shape."""
    return np.asarray(cv2.dilate(mask, np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)), np.uint8)


def _pieces(mask: GreyImage, *, connectivity: int, near: GreyImage | None = None) -> int:
    """Number of pieces larger than a speck; with `near`, of those alone that it covers or touches."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=connectivity, ltype=cv2.CV_32S)
    large: npt.NDArray[np.bool_] = stats[:, cv2.CC_STAT_AREA] >= SPECK
    large[0] = False
    if near is not None:
        seen = np.zeros(count, bool)
        seen[labels[grown(near, 1) > 0]] = True
        large &= seen
    return int(large.sum())


def _laminate(copper: GreyImage) -> int:
    return _pieces(1 - copper, connectivity=4)
