"""Copperline finds manufacturing defects on printed circuit boards and turns them into quality decisions.

from copperline import Detector

detector = Detector.load("champion")
detections = detector(test_image, reference_image)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from copperline.detections import Detections
    from copperline.inspection import Detector

__all__ = ["Detections", "Detector"]


def __getattr__(name: str) -> Any:
    # Looked up when used, so that `import copperline` and the command line stay fast.
    if name == "Detections":
        from copperline.detections import Detections

        return Detections
    if name == "Detector":
        from copperline.inspection import Detector

        return Detector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
