"""What a model file says of itself: it travels inside the ONNX file, so a file alone is enough to inspect."""

from __future__ import annotations

import json
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from copperline.detections import FloatArray
from copperline.errors import CopperlineError, ModelError
from copperline.taxonomy import DefectClass, Severity, Taxonomy

METADATA_KEY = "copperline"
FORMAT = 1

Threshold = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class OperatingPoint(BaseModel):
    """The confidence thresholds in force, and what they were chosen for.

    Attributes:
        thresholds: class name -> lowest confidence in [0, 1] that counts.
        criterion: in words, e.g. `recall >= 99.5 % on validation with the fewest false calls`.
        reached: whether the criterion was met on the boards that it was chosen on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    thresholds: dict[str, Threshold]
    criterion: str
    reached: bool = True

    @classmethod
    def uniform(cls, taxonomy: Taxonomy, threshold: float, criterion: str = "set by hand") -> OperatingPoint:
        return cls(thresholds=dict.fromkeys(taxonomy.names, threshold), criterion=criterion)

    def noted(self, remark: str) -> OperatingPoint:
        """The same thresholds, with a remark added to the criterion.

        >>> OperatingPoint(thresholds={}, criterion="F-score").noted("chosen in run 7").criterion
        'F-score; chosen in run 7'
        """
        return self.model_copy(update={"criterion": f"{self.criterion}; {remark}"})

    def as_array(self, taxonomy: Taxonomy) -> FloatArray:
        """(C,) float32 in class-id order, for `Detections.above`; raises ModelError if a class is missing."""
        missing = [name for name in taxonomy.names if name not in self.thresholds]
        if missing:
            raise ModelError(
                f"the operating point has no threshold for {', '.join(missing)}",
                fix="choose the operating point again for this taxonomy",
            )
        return np.array([self.thresholds[name] for name in taxonomy.names], dtype=np.float32)


class Parity(BaseModel):
    """How far the exported ONNX model is from the trained network on the same inputs.

    Attributes:
        passed: whether the largest difference was within the tolerance.
        images: number of inputs compared.
        max_difference: largest absolute difference of any output value.
        tolerance: largest difference that was allowed.
        note: what was compared, in words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    passed: bool
    images: int = Field(ge=0)
    max_difference: float = Field(ge=0)
    tolerance: float = Field(ge=0)
    note: str = ""


class ClassInfo(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    severity: Severity
    colour: str


class ModelInfo(BaseModel):
    """The contract between a model file and the runtime.

    The network's input `images` is (N, 3, H, W) float32 in [0, 1], H and W multiples of `stride`: channel 0 the
    test image, 1 the registered reference, 2 their absolute difference; without a reference 1 and 2 are zero.
    Its output `predictions` is (N, 4 + C, A) float32: rows 0-3 box centre x, y, width, height in pixels of the
    input, rows 4.. the probability of each class.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(FORMAT, ge=1)
    network: str
    parameters: int = Field(gt=0)
    stride: int = Field(gt=0, le=256)
    classes: tuple[ClassInfo, ...] = Field(min_length=1)
    operating_point: OperatingPoint
    data_hash: str = Field("", description="SHA-256 of the training data set")

    @property
    def taxonomy(self) -> Taxonomy:
        return Taxonomy(tuple(DefectClass(i, c.name, c.severity, c.colour) for i, c in enumerate(self.classes)))

    @staticmethod
    def class_infos(taxonomy: Taxonomy) -> tuple[ClassInfo, ...]:
        return tuple(ClassInfo(name=c.name, severity=c.severity, colour=c.colour) for c in taxonomy)

    @classmethod
    def parse(cls, text: str | None, where: str) -> ModelInfo:
        """From the metadata of the ONNX file `where`; raises ModelError if it is absent, damaged or too new."""
        if text is None:
            raise ModelError(
                "expected a model that Copperline exported, found an ONNX file without its metadata",
                where=where,
                fix="export it with `copperline models export`",
            )
        content = _json_object(text, where)
        # Files from before there were formats say none. It is looked at first: what else a newer format has changed
        # would only be reported as damage.
        number = content.setdefault("format", 1)
        if isinstance(number, int) and number > FORMAT:
            raise ModelError(
                f"expected model format {FORMAT} or older, found {number}", where=where, fix="update Copperline"
            )
        try:
            info = cls.model_validate_json(json.dumps(content))
            # The classes must make a taxonomy, and each must have its threshold.
            info.operating_point.as_array(info.taxonomy)
        except ValidationError as error:
            first = error.errors()[0]
            raise _damaged(f"{'.'.join(map(str, first['loc']))}: {first['msg']}", where) from error
        except CopperlineError as error:
            raise _damaged(error.problem, where) from error
        return info


def _json_object(text: str, where: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise _damaged(f"no JSON: {error}", where) from error
    if not isinstance(content, dict):
        raise _damaged(f"expected a JSON object, found {type(content).__name__}", where)
    return content


def _damaged(what: str, where: str) -> ModelError:
    return ModelError(
        f"the model's metadata is damaged or of another version ({what})",
        where=where,
        fix="export the model again, or update Copperline",
    )
