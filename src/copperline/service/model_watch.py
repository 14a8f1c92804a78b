"""The watcher: when the champion changes, the new model takes over between two boards."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from copperline.errors import CopperlineError
from copperline.inspection import Detector
from copperline.line import LineInspector
from copperline.registry import resolve_model
from copperline.service.metrics import Metrics
from copperline.settings import Settings

_log = logging.getLogger(__name__)


class ModelWatch:
    """Looks again and again what a name of a model means, and loads it when that has changed.

    A model that cannot be found or loaded leaves the one in service where it is.

    Args:
        name: as `Detector.load` takes it.
        typical_size: height and width of boards, px: a new model is tried on such an image first, because the first
            one takes longer than those after it.
    """

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
        self.name = name
        self.since = datetime.now(UTC)
        self.fault: str | None = None
        self._settings = settings
        self._inspector = inspector
        self._metrics = metrics
        self._poll_s = poll_s
        self._typical_size = typical_size
        self._look_now = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="model-watch", daemon=True)
        metrics.serves(inspector.detector.name, inspector.detector.version)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._look_now.set()
        if self._thread.ident is not None:
            self._thread.join()

    def look_now(self) -> None:
        """Does not wait for the next look."""
        self._look_now.set()

    def look(self) -> bool:
        """Looks once; whether another model inspects from now on."""
        try:
            swapped = self._swap_if_changed()
        except CopperlineError as error:
            self._tell_fault(f"{error.problem}{f'; {error.fix}' if error.fix else ''}")
            return False
        if self.fault is not None:
            _log.info("the model %s can be used again", self.name)
            self.fault = None
            self._metrics.model_fault.set(0)
        return swapped

    def _run(self) -> None:
        told_once = _OnceEach()
        resolving = logging.getLogger("copperline.registry.resolve")
        resolving.addFilter(told_once)
        try:
            while not self._ended.is_set():
                try:
                    self.look()
                except Exception as error:  # noqa: BLE001  # a fault here must not end the watching
                    _log.exception("the model could not be looked for")
                    self._tell_fault(f"the model cannot be looked for ({type(error).__name__}); see the log")
                self._look_now.wait(self._poll_s)
                self._look_now.clear()
        finally:
            resolving.removeFilter(told_once)

    def _swap_if_changed(self) -> bool:
        serving = self._inspector.detector
        found = resolve_model(self._settings, self.name)
        if (found.name, found.version) == (serving.name, serving.version):
            return False
        detector = Detector.load(self.name, settings=self._settings)
        self._warm_up(detector)
        self._inspector.swap(detector)
        self.since = datetime.now(UTC)
        self._metrics.serves(detector.name, detector.version)
        self._metrics.model_swaps.inc()
        _log.info(
            "model %s %s inspects from now on, after %s %s",
            detector.name,
            detector.version,
            serving.name,
            serving.version,
        )
        return True

    def _warm_up(self, detector: Detector) -> None:
        board = np.full(self._typical_size(), 128, np.uint8)
        detector(board, board, registered=True)

    def _tell_fault(self, fault: str) -> None:
        if fault != self.fault:
            _log.error("the model %s cannot be used, the one in service goes on: %s", self.name, fault)
        self.fault = fault
        self._metrics.model_fault.set(1)


class _OnceEach(logging.Filter):
    """A note that is worth telling once, not every two seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._told: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if message in self._told:
            return False
        self._told.add(message)
        return True
