"""The detector as a model that a Snowflake warehouse runs: images in base64 in, calls and detections out.

Imported only where Snowflake ML is installed. Annotations are evaluated here, for Snowflake ML looks at them.

Images come as text and not as bytes: where Snowflake hands bytes to a model it cuts zero bytes off their end, which
some image files have, and makes NULL the word None. So SQL says `BASE64_ENCODE(image_bytes)`.
"""

import base64
import binascii
import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
from snowflake.ml.model import custom_model
from snowflake.ml.model.model_signature import DataType, FeatureSpec, ModelSignature

from copperline.data.scans import decode_grey
from copperline.errors import CopperlineError, DataError
from copperline.inspection.detector import Detector
from copperline.inspection.inspect import ImageFile, inspect_files
from copperline.runtime import OnnxModel
from copperline.taxonomy import Call

_EDGES = ("x1", "y1", "x2", "y2")
_NUMBERS = ("registration_score", "confidence_score", *_EDGES)
_IMAGES = [FeatureSpec("image", DataType.STRING), FeatureSpec("reference", DataType.STRING)]
SIGNATURES = {
    "predict": ModelSignature(
        inputs=_IMAGES,
        outputs=[
            FeatureSpec("call", DataType.STRING),
            FeatureSpec("registration_score", DataType.DOUBLE),
            FeatureSpec("detections", DataType.STRING),
            FeatureSpec("error", DataType.STRING),
        ],
    ),
    "detections": ModelSignature(
        inputs=[FeatureSpec("board_id", DataType.STRING), *_IMAGES],
        outputs=[
            FeatureSpec("board_id", DataType.STRING),
            FeatureSpec("call", DataType.STRING),
            FeatureSpec("registration_score", DataType.DOUBLE),
            FeatureSpec("detected_class", DataType.STRING),
            FeatureSpec("confidence_score", DataType.DOUBLE),
            *(FeatureSpec(edge, DataType.DOUBLE) for edge in _EDGES),
            FeatureSpec("error", DataType.STRING),
        ],
    ),
}


class BoardDetector(custom_model.CustomModel):  # type: ignore[misc]  # Snowflake ML has no types
    """Context: `model`, the path of the ONNX file, and `card`, that of its card, which only travels along.

    An image that cannot be inspected (NULL, no base64, damaged, of another size than its reference) is told in the
    column `error` of its own row, and everything else in that row is NULL: one bad file ends no query of a million.
    """

    def __init__(self, context: custom_model.ModelContext | None = None) -> None:
        super().__init__(context)
        # One thread: the warehouse runs as many of these at once as it has cores.
        path = Path(self.context.path("model"))
        model = OnnxModel(path, threads=1)
        version = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        self.detector = Detector(model, model.info.network, version, model.info.operating_point)

    @custom_model.inference_api  # type: ignore[untyped-decorator]
    def predict(self, boards: pd.DataFrame) -> pd.DataFrame:
        """One row for each board: `image` and `reference` (or NULL) -> `call`, `registration_score`, `detections`,
        `error`.

        `detections` is JSON, `[{"class", "confidence", "box": [x1, y1, x2, y2] px}]`; it is NULL where the call is
        WITHHELD, for nothing is known of that board.
        """
        rows = [
            self._row(image, reference) for image, reference in zip(boards["image"], boards["reference"], strict=True)
        ]
        return pd.DataFrame(rows, columns=["call", "registration_score", "detections", "error"], dtype=object)

    @custom_model.partitioned_api  # type: ignore[untyped-decorator]
    def detections(self, boards: pd.DataFrame) -> pd.DataFrame:
        """A row for each detection; a board without one, or with an error, has one row too, without a class."""
        columns = [feature.name for feature in SIGNATURES["detections"].outputs]
        rows: list[list[Any]] = []
        for board_id, image, reference in boards[["board_id", "image", "reference"]].itertuples(index=False):
            call, score, found, error = self._row(image, reference)
            for detection in json.loads(found or "[]") or [{}]:
                box = detection.get("box", [None] * 4)
                what = [detection.get("class"), detection.get("confidence")]
                rows.append([None if pd.isna(board_id) else board_id, call, score, *what, *box, error])
        return pd.DataFrame(rows, columns=columns, dtype=object).astype(dict.fromkeys(_NUMBERS, "float64"))

    def _row(self, image: object, reference: object) -> list[Any]:
        """Call, registration score, detections as JSON, error."""
        try:
            test = _image(image, "image")
            if test is None:
                raise DataError("expected an image in base64, found NULL", where="image")
            inspection = inspect_files(self.detector, "board", test, _image(reference, "reference"))
        except CopperlineError as error:
            return [None, None, None, str(error)]
        verdict = inspection.verdict
        known = verdict.call is not Call.WITHHELD
        found = json.dumps(verdict.detections.to_dicts(self.detector.taxonomy)) if known else None
        return [verdict.call.value, verdict.registration_score, found, None]


def _image(text: object, what: str) -> ImageFile | None:
    if not isinstance(text, str):  # NULL comes as None or as one of pandas' several words for it
        return None
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(
            f"expected an image file in base64, found other text ({error})", where=what, fix="use BASE64_ENCODE"
        ) from error
    return ImageFile(Path(what), hashlib.sha256(data).hexdigest(), decode_grey(data, Path(what)))
