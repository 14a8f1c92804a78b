"""The watched folder: images that AOI machines drop become inspections, exactly once."""

from copperline.line.watching.options import WatchOptions
from copperline.line.watching.pattern import DEFAULT_PATTERN, DEFAULT_REFERENCE_WORD, DEFAULT_TEST_WORD, Pattern
from copperline.line.watching.summary import FailedBoard, InspectedBoard, Listener, WatchSummary
from copperline.line.watching.watcher import Watcher

__all__ = [
    "DEFAULT_PATTERN",
    "DEFAULT_REFERENCE_WORD",
    "DEFAULT_TEST_WORD",
    "FailedBoard",
    "InspectedBoard",
    "Listener",
    "Pattern",
    "WatchOptions",
    "WatchSummary",
    "Watcher",
]
