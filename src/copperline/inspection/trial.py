"""A trial: one image pair through one model, once; from what the network said then, the call at any thresholds."""

from __future__ import annotations

import time
from dataclasses import dataclass

from copperline.data.images import Image
from copperline.data.statistics import grey_levels
from copperline.detections import Detections
from copperline.inspection.detector import Detector, as_grey
from copperline.inspection.inspect import Verdict
from copperline.inspection.policy import DEFAULT_POLICY, CallPolicy, decide
from copperline.model_info import OperatingPoint
from copperline.reference import Registration, register
from copperline.runtime import EVALUATION_FLOOR, INSPECTION_FLOOR, TileProgress
from copperline.taxonomy import Taxonomy


@dataclass(frozen=True, eq=False, slots=True)
class Trial:
    """What a model said of one image pair.

    Attributes:
        test: (H, W) uint8 grey.
        registration: the reference moved onto `test`, with its score; None without a reference.
        said: all detections of at least `floor`; none where the policy withholds the call.
        floor: lowest confidence, in (0, 1].
        latency_ms: from decoded images to what was said: registration and network.
        taxonomy: of the detections' class ids.
        policy: what fails a board, and what registration score a call needs.
    """

    test: Image
    registration: Registration | None
    said: Detections
    floor: float
    latency_ms: float
    taxonomy: Taxonomy
    policy: CallPolicy

    @property
    def reference(self) -> Image | None:
        """(H, W) uint8 grey, registered to `test`."""
        return None if self.registration is None else self.registration.reference

    def verdict(self, operating_point: OperatingPoint) -> Verdict:
        """The call at these thresholds, as an inspection would make it; no network runs.

        A threshold below `floor` acts as `floor`. Boxes may differ from an inspection's by a fraction of a pixel: each
        is a mean of the boxes that agree on it, and here less confident ones are among them.
        """
        detections = self.said.called(operating_point.as_array(self.taxonomy))
        score = None if self.registration is None else self.registration.score
        call, levels = decide(detections, score, self.taxonomy, self.policy), grey_levels(self.test)
        return Verdict(call, score, self.latency_ms, detections, levels.brightness, levels.contrast)


def try_pair(
    detector: Detector,
    test: Image,
    reference: Image | None = None,
    policy: CallPolicy = DEFAULT_POLICY,
    *,
    progress: TileProgress | None = None,
) -> Trial:
    """One image pair in memory, (H, W) uint8 grey or (H, W, 3) BGR each, at all thresholds at once.

    Args:
        detector: its operating point only lowers the floor, where a threshold is below `INSPECTION_FLOOR`.
        progress: called with (tiles done, tiles in all) where the image is inspected in tiles.

    Raises:
        DataError: an image is of another shape or type, or the two differ in size.
    """
    lowest = float(detector.operating_point.as_array(detector.taxonomy).min())
    floor = max(EVALUATION_FLOOR, min(INSPECTION_FLOOR, lowest))
    start = time.perf_counter()
    test = as_grey(test, "test image")
    registration = None if reference is None else register(test, as_grey(reference, "reference"))
    golden, score = (None, None) if registration is None else (registration.reference, registration.score)
    said = Detections.empty()
    if policy.registers(score):
        said = detector.predict(test, golden, floor=floor, registered=True, progress=progress)
    latency_ms = (time.perf_counter() - start) * 1e3
    return Trial(test, registration, said, floor, latency_ms, detector.taxonomy, policy)
