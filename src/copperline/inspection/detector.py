"""`Detector`: a model version that finds defects in a test image."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace

import numpy as np

from copperline.data.images import Image, require_same_size, to_grey
from copperline.detections import Detections
from copperline.errors import DataError, ModelError, SettingsError
from copperline.inspection.scans import look_at_scan
from copperline.model_info import ModelInfo, OperatingPoint
from copperline.reference import register
from copperline.registry import resolve_model
from copperline.runtime import EVALUATION_FLOOR, OnnxModel, Selection, TileProgress
from copperline.settings import Settings
from copperline.taxonomy import Taxonomy


@dataclass(frozen=True)
class Detector:
    """A loaded model with its operating point. Safe to call from several threads.

    Attributes:
        model: the network in ONNX Runtime.
        name, version: what rows and reports call it.
        operating_point: the confidence thresholds in force.
    """

    model: OnnxModel
    name: str
    version: str
    operating_point: OperatingPoint

    @classmethod
    def load(
        cls,
        name: str | os.PathLike[str] = "champion",
        *,
        settings: Settings | None = None,
        threads: int | None = None,
    ) -> Detector:
        """Loads a model with the operating point that was chosen for it.

        Args:
            name: `champion`, `challenger`, a version number, `builtin:NAME`, or the path of an .onnx file. While
                nothing is registered, `champion` is the shipped model `deeppcb`, and a warning is logged.
            settings: where the registry is; default: `Settings.load()`.
            threads: CPU threads for one image; default: as in the settings.

        Raises:
            ModelError: there is no such model, or its file cannot be used.
        """
        settings = settings or Settings.load()
        resolved = resolve_model(settings, os.fspath(name))
        model = OnnxModel(resolved.path, threads=settings.cores if threads is None else threads)
        return cls(model, resolved.name, resolved.version, model.info.operating_point)

    def __post_init__(self) -> None:
        # Fails now, and not at the first board, if a class has no threshold.
        self.operating_point.as_array(self.taxonomy)

    @property
    def info(self) -> ModelInfo:
        return self.model.info

    @property
    def taxonomy(self) -> Taxonomy:
        return self.model.taxonomy

    def require_classes(self, taxonomy: Taxonomy, where: str) -> None:
        """Raises ModelError unless the model's classes are those of the data set `where`, in the same order."""
        if self.taxonomy.names != taxonomy.names:
            raise ModelError(
                f"expected a model for the classes of the data, {', '.join(taxonomy.names)}; "
                f"{self.name} {self.version} has {', '.join(self.taxonomy.names)}",
                where=where,
                fix="choose another model or data set, or set taxonomy_file to the data's classes",
            )

    @property
    def operating_point_json(self) -> str:
        """Always the same text for the same operating point, as an inspection's id needs it."""
        return json.dumps(self.operating_point.model_dump(), sort_keys=True)

    def with_operating_point(self, operating_point: OperatingPoint | float) -> Detector:
        """The same model at other thresholds; a number is used for every class.

        Raises:
            SettingsError: the number is not in [0, 1].
            ModelError: a class has no threshold.
        """
        if not isinstance(operating_point, OperatingPoint):
            if not 0 <= operating_point <= 1:
                raise SettingsError(f"expected a confidence in [0, 1], found {operating_point}", fix="try 0.5")
            operating_point = OperatingPoint.uniform(self.taxonomy, operating_point)
        return replace(self, operating_point=operating_point)

    @property
    def floor(self) -> float:
        """Lowest confidence that an inspection needs: the least of the thresholds."""
        return max(EVALUATION_FLOOR, float(self.operating_point.as_array(self.taxonomy).min()))

    def looks_in_tiles(self, test: Image) -> bool:
        """Whether an image is so large that it is inspected in tiles, each registered by itself."""
        return bool(max(test.shape[:2]) > self.model.tiling.limit)

    def __call__(self, test: Image, reference: Image | None = None, *, registered: bool = False) -> Detections:
        """The defects in `test` at the operating point, most confident first, boxes in its pixels.

        It answers whatever the reference is; whether that belongs to the board is for `inspect_arrays` to say.

        Args:
            test: (H, W) uint8 grey or (H, W, 3) uint8 BGR.
            reference: likewise, of the same height and width: the golden image of the same board; or None.
            registered: the reference is aligned to `test` already.

        Raises:
            DataError: an image is of another shape or type, or the two differ in size.
        """
        thresholds = self.operating_point.as_array(self.taxonomy)
        return self.predict(test, reference, floor=self.floor, registered=registered).called(thresholds)

    def predict(
        self,
        test: Image,
        reference: Image | None = None,
        *,
        floor: float = EVALUATION_FLOOR,
        registered: bool = False,
        progress: TileProgress | None = None,
    ) -> Detections:
        """As calling the detector, without its operating point: all detections with a confidence of at least `floor`.

        This is what evaluation needs, and where an operating point is chosen from. An image that is so large that it is
        inspected in tiles is registered tile by tile; none is skipped or withheld. `progress` is called with (tiles
        done, tiles in all) then.
        """
        test = as_grey(test, "test image")
        if reference is not None:
            reference = as_grey(reference, "reference")
            if not registered and self.looks_in_tiles(test):
                return look_at_scan(self.model, test, reference, Selection(floor=floor), progress=progress).detections
            require_same_size(test, reference, "reference")
            if not registered:
                reference = register(test, reference).reference
        return self.model.predict(test, reference, Selection(floor=floor), progress=progress)


def as_grey(image: object, what: str) -> Image:
    """(H, W) uint8 from (H, W) or (H, W, 3) BGR; raises DataError that says what was found instead."""
    if not isinstance(image, np.ndarray):
        found = type(image).__name__
    elif image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        found = f"{' x '.join(map(str, image.shape))} {image.dtype}"
    elif 0 in image.shape:
        found = "an empty array"
    else:
        return np.ascontiguousarray(to_grey(image))
    raise DataError(
        f"expected H x W or H x W x 3 BGR of uint8, found {found}", where=what, fix="convert the image first"
    )
