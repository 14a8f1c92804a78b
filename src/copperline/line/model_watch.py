"""Another champion takes over while boards go on: looks now and then what a model's name means."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Self

import numpy as np

from copperline.errors import CopperlineError
from copperline.inspection import Detector
from copperline.registry import ResolvedModel, open_registry, resolve_model
from copperline.settings import Settings

_log = logging.getLogger(__name__)

_TYPICAL_SIZE = (640, 640)


class ModelWatch:
    """From `start` to `stop`, `latest` gives the detector of what `name` means now.

    A model that cannot be found or loaded is told to the log once, and the one before it goes on.

    Args:
        settings: where the registry is.
        name: as for `Detector.load`; a shipped model never changes.
        detector: that was loaded by this name.
        poll_s: seconds between two looks.
        typical_size: height and width of boards, px: a new model is tried on such an image first, because the first
            one takes longer than those after it.

    Attributes:
        since: when the latest took over, UTC.
        fault: why what the name means now cannot be used; None: it is the latest.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        detector: Detector,
        *,
        poll_s: float = 5.0,
        typical_size: Callable[[], tuple[int, int]] = lambda: _TYPICAL_SIZE,
    ) -> None:
        self.name = name
        self.since = datetime.now(UTC)
        self.fault: str | None = None
        self._settings = settings
        self._latest = detector
        self._poll_s = poll_s
        self._typical_size = typical_size
        self._look_now = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="model-watch", daemon=True)

    def start(self) -> None:
        if not self.name.startswith("builtin:"):
            self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._look_now.set()
        if self._thread.ident is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()

    def latest(self) -> Detector:
        """Safe to call from any thread; at once."""
        return self._latest

    def look_now(self) -> None:
        """Does not wait for the next look."""
        self._look_now.set()

    def look(self) -> bool:
        """Looks once; whether another model inspects from now on."""
        try:
            found = self._resolved()
            changed = found is not None and (found.name, found.version) != (self._latest.name, self._latest.version)
            if changed:
                self._take_over(Detector.load(self.name, settings=self._settings))
        except (CopperlineError, OSError) as error:
            self._tell_fault(_words(error))
            return False
        if self.fault is not None:
            _log.info("the model %s can be used again", self.name)
            self.fault = None
            self.fault_changed(None)
        return changed

    def took_over(self, detector: Detector) -> None:
        """Called when another model is ready, before anybody else knows of it; for those who have more to do then."""

    def fault_changed(self, fault: str | None) -> None:
        """Called when `fault` has changed."""

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self.look()
            except Exception as error:  # noqa: BLE001  # a fault here must not end the watching
                _log.exception("the model could not be looked for")
                self._tell_fault(f"the model cannot be looked for ({type(error).__name__}); see the log")
            self._look_now.wait(self._poll_s)
            self._look_now.clear()

    def _resolved(self) -> ResolvedModel | None:
        is_path = self.name.lower().endswith(".onnx")
        if not is_path and not self.name.startswith("builtin:") and not open_registry(self._settings).versions():
            return None  # the shipped model stands in, which was said when it was loaded
        return resolve_model(self._settings, self.name)

    def _take_over(self, detector: Detector) -> None:
        board = np.full(self._typical_size(), 128, np.uint8)
        detector(board, board, registered=True)
        before = self._latest
        self.took_over(detector)
        self._latest, self.since = detector, datetime.now(UTC)
        _log.info(
            "model %s %s inspects from now on, after %s %s",
            detector.name,
            detector.version,
            before.name,
            before.version,
        )

    def _tell_fault(self, fault: str) -> None:
        if fault != self.fault:
            _log.error("the model %s cannot be used, the one in service goes on: %s", self.name, fault)
            self.fault = fault
            self.fault_changed(fault)


def _words(error: CopperlineError | OSError) -> str:
    if isinstance(error, CopperlineError):
        return error.without_place
    return str(error.strerror or error)
