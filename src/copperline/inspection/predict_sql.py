"""The model as a function of SQL: `SELECT filename, PREDICT(image_bytes, reference_bytes) FROM ...`."""

from __future__ import annotations

import json

from copperline.data.images import decode_image
from copperline.inspection.detector import Detector
from copperline.inspection.inspect import inspect_arrays
from copperline.inspection.policy import DEFAULT_POLICY, CallPolicy
from copperline.taxonomy import Call
from copperline.warehouse import Predict


def predict_function(detector: Detector, policy: CallPolicy = DEFAULT_POLICY) -> Predict:
    """A function from image files' bytes to JSON, for `run_sql(predict=...)`.

    Returns:
        (image bytes, reference bytes or None) -> `[{"class", "confidence", "box": [x1, y1, x2, y2] px}]`, the
        detections at the operating point. A good board gives `[]`; where the call would be WITHHELD, because the
        reference is not this board's, the text is `null`: nothing is known of that board. The function raises
        DataError for bytes that are not a usable image.
    """

    def predict(image: bytes, reference: bytes | None) -> str:
        test = decode_image(image, "image")
        golden = None if reference is None else decode_image(reference, "reference")
        verdict = inspect_arrays(detector, test, golden, policy)
        known = verdict.call is not Call.WITHHELD
        return json.dumps(verdict.detections.to_dicts(detector.taxonomy) if known else None)

    return predict
