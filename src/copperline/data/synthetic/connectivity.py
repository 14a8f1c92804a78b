"""What a change does to the nets: cut, bridge, or neither.

Copper is connected over 8 neighbours and laminate over 4, so that the two can never cross each other in one pixel.

Most questions are answered in a small window, which is enough: if removing copper leaves every piece in the window in
one piece, no net is cut anywhere, and if added copper touches a single piece in the window, no two nets are bridged.
The reverse is not true (two ends may meet outside of the window), so cuts and bridges are asked of the whole image.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from copperline.data.synthetic.shapes import GreyImage

Labels = npt.NDArray[np.int32]


def copper_labels(copper: GreyImage) -> tuple[int, Labels]:
    """Number of nets, and the net of each pixel: 0 for laminate, 1.. for copper. `copper` is 0 or 1, uint8."""
    count, labels = cv2.connectedComponents(copper, connectivity=8, ltype=cv2.CV_32S)
    return count - 1, np.asarray(labels, np.int32)


def laminate_pieces(copper: GreyImage) -> int:
    """Number of pieces of laminate; `copper` is 0 or 1, uint8."""
    return int(cv2.connectedComponents(1 - copper, connectivity=4, ltype=cv2.CV_32S)[0]) - 1


def pieces_touched(labels: Labels, blob: GreyImage) -> set[int]:
    """Labels (not 0) under the blob or next to it, diagonals included."""
    near = cv2.dilate(blob, np.ones((3, 3), np.uint8))
    return set(np.unique(labels[near > 0]).tolist()) - {0}


def keeps_topology(before: GreyImage, after: GreyImage) -> bool:
    """Whether a change within this window keeps the number of nets and of pieces of laminate.

    Together with a blob that touches one net only, that means that it neither cuts nor bridges nor encloses anything.
    """
    return copper_labels(before)[0] == copper_labels(after)[0] and laminate_pieces(before) == laminate_pieces(after)
