"""Whole-board scans: tiles in parallel, each registered by itself, those that equal their reference skipped."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from copperline.data.images import Image
from copperline.detections import Detections
from copperline.reference.gate import equals_reference
from copperline.reference.scan_registration import ScanRegistration
from copperline.runtime import OnnxModel, Selection, Tile, TileProgress, look_at_tiles


@dataclass(frozen=True, slots=True)
class TileSummary:
    """How a scan was looked at.

    Attributes:
        tiles: in all.
        skipped: those that the network did not look at, since they equal their reference; 0 if no call was made.
        unregistered: those whose reference could not be found; each withholds the call.
    """

    tiles: int
    skipped: int
    unregistered: tuple[Tile, ...]

    def to_dict(self) -> dict[str, Any]:
        """As in the product's JSON; places are [x1, y1, x2, y2] in px of the scan."""
        places = [[tile.x1, tile.y1, tile.x2, tile.y2] for tile in self.unregistered]
        return {"tiles": self.tiles, "skipped": self.skipped, "unregistered": places}


@dataclass(frozen=True, slots=True)
class ScanFindings:
    """What was found on a scan.

    Attributes:
        detections: in the scan's pixels, most confident first; none where a tile was unregistered.
        registration_score: the lowest of all tiles, in [0, 1]; None without a reference.
        summary: how it was looked at.
    """

    detections: Detections
    registration_score: float | None
    summary: TileSummary


@dataclass(slots=True)
class _Notes:
    """What the threads write down about tiles, in any order."""

    scores: list[float] = field(default_factory=list)
    skipped: list[Tile] = field(default_factory=list)
    unregistered: list[Tile] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def look_at_scan(
    model: OnnxModel,
    test: Image,
    reference: Image | None,
    selection: Selection,
    *,
    withheld_below: float = 0.0,
    skip_equal: bool = False,
    progress: TileProgress | None = None,
) -> ScanFindings:
    """Looks at a scan in tiles, as many at once as the model has threads.

    Args:
        model: gives the tiling and the detections.
        test: (H, W) uint8 grey.
        reference: (H', W') uint8 grey, not registered, each side within 1 % of the scan's; or None.
        selection: for each tile.
        withheld_below: a tile whose registration score is lower cannot be judged, and with it the board: from then on
            tiles are only registered, so that all such places can be named.
        skip_equal: the network does not look at tiles that equal their reference, see `equals_reference`.
        progress: called with (tiles done, tiles in all), first with 0 done.

    Raises:
        DataError: the reference is of another size.
    """
    height, width = test.shape
    tiles = model.tiling.tiles(width, height)
    registration = None if reference is None else ScanRegistration(test, reference)
    notes = _Notes()

    def look(tile: Tile) -> Detections:
        pixels = np.ascontiguousarray(tile.of(test))
        if registration is None:
            return model.predict(pixels, None, selection)
        registered = registration.tile(pixels, tile.x1, tile.y1)
        with notes.lock:
            notes.scores.append(registered.score)
            if registered.score < withheld_below:
                notes.unregistered.append(tile)
            if notes.unregistered:
                return Detections.empty()
        if skip_equal and equals_reference(pixels, registered.reference):
            with notes.lock:
                notes.skipped.append(tile)
            return Detections.empty()
        return model.predict(pixels, registered.reference, selection)

    found = look_at_tiles(look, tiles, selection.iou, progress, workers=model.threads)
    unregistered = tuple(sorted(notes.unregistered, key=lambda tile: (tile.y1, tile.x1)))
    summary = TileSummary(len(tiles), 0 if unregistered else len(notes.skipped), unregistered)
    score = min(notes.scores, default=None)
    return ScanFindings(Detections.empty() if unregistered else found, score, summary)
