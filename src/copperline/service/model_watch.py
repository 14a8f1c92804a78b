"""The watcher of the service: when the champion changes, the new model takes over between two boards."""

from __future__ import annotations

from collections.abc import Callable

from copperline.inspection import Detector
from copperline.line import LineInspector
from copperline.line.model_watch import ModelWatch
from copperline.service.metrics import Metrics
from copperline.settings import Settings


class ServiceModelWatch(ModelWatch):
    """As ModelWatch, and gives a new model to the inspector, and what becomes of it to the metrics."""

    def __init__(
        self,
        settings: Settings,
        name: str,
        inspector: LineInspector,
        metrics: Metrics,
        *,
        poll_s: float,
        typical_size: Callable[[], tuple[int, int]],
    ) -> None:
        super().__init__(settings, name, inspector.detector, poll_s=poll_s, typical_size=typical_size)
        self._inspector = inspector
        self._metrics = metrics
        metrics.serves(inspector.detector.name, inspector.detector.version)

    def took_over(self, detector: Detector) -> None:
        self._inspector.swap(detector)
        self._metrics.serves(detector.name, detector.version)
        self._metrics.model_swaps.inc()

    def fault_changed(self, fault: str | None) -> None:
        self._metrics.model_fault.set(0 if fault is None else 1)
