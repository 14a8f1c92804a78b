"""Another champion takes over while boards go on: looks now and then what a model's name means."""

from __future__ import annotations

import logging
import threading
from types import TracebackType

from copperline.errors import CopperlineError
from copperline.inspection import Detector
from copperline.registry import Registry, ResolvedModel, resolve_model
from copperline.settings import Settings

_log = logging.getLogger(__name__)


class ModelWatch:
    """While it is entered, `latest` gives the detector of what `name` means now.

    A model that cannot be loaded is told to the log once, and the one before it goes on.

    Args:
        settings: where the registry is.
        name: as for `Detector.load`; a shipped model never changes.
        detector: that was loaded by this name.
        poll_s: seconds between two looks.
    """

    def __init__(self, settings: Settings, name: str, detector: Detector, poll_s: float = 5.0) -> None:
        self._settings = settings
        self._name = name
        self._latest = detector
        self._poll_s = poll_s
        self._last_problem = ""
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def latest(self) -> Detector:
        """Safe to call from any thread; at once."""
        return self._latest

    def look(self) -> None:
        """Looks now: loads what the name means if that is another model than the latest."""
        try:
            found = self._resolved()
            if found is not None and (found.name, found.version) != (self._latest.name, self._latest.version):
                self._latest = Detector.load(self._name, settings=self._settings)
                _log.info("model %s %s takes over", self._latest.name, self._latest.version)
            self._last_problem = ""
        except (CopperlineError, OSError) as error:
            if str(error) != self._last_problem:
                self._last_problem = str(error)
                _log.warning("%s; %s %s goes on", error, self._latest.name, self._latest.version)

    def __enter__(self) -> ModelWatch:
        if not self._name.startswith("builtin:"):
            self._thread = threading.Thread(target=self._run, name="model-watch", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join(10.0)

    def _run(self) -> None:
        while not self._ended.wait(self._poll_s):
            self.look()

    def _resolved(self) -> ResolvedModel | None:
        is_path = self._name.lower().endswith(".onnx")
        if not is_path and not Registry(self._settings).versions():
            return None  # the shipped model stands in, which was said when it was loaded
        return resolve_model(self._settings, self._name)
