"""A model file in ONNX Runtime: checked when it is loaded, then images in, detections out."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from copperline.data.images import Image, require_same_size
from copperline.detections import Detections, FloatArray
from copperline.errors import DataError, ModelError
from copperline.model_info import METADATA_KEY, ModelInfo
from copperline.runtime.model_file import UNREADABLE, first_line, open_session
from copperline.runtime.postprocess import Selection, decode_predictions
from copperline.runtime.preprocess import network_input
from copperline.runtime.tiling import TileProgress, Tiling, predict_tiled
from copperline.settings import available_cores

INPUT, OUTPUT = "images", "predictions"

# A confidence may exceed 1 by rounding; logits exceed it by far.
_ROUNDING = 1e-3


class OnnxModel:
    """A detector network that `copperline` exported, on the CPU. Safe to call from several threads.

    Args:
        path: the ONNX file, which carries its `ModelInfo`.
        threads: CPU threads for one image, and tiles of a large one in work at once; 0 means all cores.
        tiling: images larger than its limit are inspected in tiles.

    Raises:
        ModelError: the file is missing or damaged, was not exported by Copperline, is of a newer format, or does not
            fit its own description.
    """

    def __init__(self, path: str | os.PathLike[str], threads: int = 0, tiling: Tiling | None = None) -> None:
        self.path = Path(path)
        self.tiling = tiling or Tiling()
        self.threads = threads or available_cores()
        self._session, metadata = open_session(self.path, self.threads)
        self.info = ModelInfo.parse(metadata.get(METADATA_KEY), str(self.path))
        self.taxonomy = self.info.taxonomy
        self._check_ports()
        self._try_out()

    def predict(
        self,
        test: Image,
        reference: Image | None = None,
        selection: Selection | None = None,
        *,
        progress: TileProgress | None = None,
    ) -> Detections:
        """The detections in `test`, most confident first, boxes in its pixels.

        Args:
            test: (H, W) uint8 grey.
            reference: (H, W) uint8 grey, already registered to `test`; or None.
            selection: confidence floor and non-maximum suppression.
            progress: called with (tiles done, tiles in all) where the image is inspected in tiles.

        Raises:
            DataError: an image is not (H, W) uint8, or the two differ in size.
            ModelError: the network failed on this image.
        """
        _require_grey(test, "test image")
        if reference is not None:
            _require_grey(reference, "reference")
            require_same_size(test, reference, "reference")
        selection = selection or Selection()
        if max(test.shape) > self.tiling.limit:
            return predict_tiled(
                self._predict_whole, test, reference, selection, self.tiling, progress, workers=self.threads
            )
        return self._predict_whole(test, reference, selection)

    def _predict_whole(self, test: Image, reference: Image | None, selection: Selection) -> Detections:
        height, width = test.shape
        predictions = self.raw(network_input(test, reference, self.info.stride))
        return decode_predictions(predictions, selection, width, height)

    def raw(self, images: FloatArray) -> FloatArray:
        """The network alone: (1, 3, H, W) float32 -> (4 + C, A) float32, as `ModelInfo` describes them.

        Raises ModelError if the network fails, or gives what is no prediction: a board must not pass because its
        confidences are not numbers.
        """
        try:
            (predictions,) = self._session.run([OUTPUT], {INPUT: images})
        except UNREADABLE as error:
            raise ModelError(
                f"the network failed on an image of {images.shape[3]} x {images.shape[2]} px ({first_line(error)})",
                where=self.path,
                fix=f"export the model again, with free height and width in multiples of {self.info.stride}",
            ) from error
        rows = 4 + len(self.taxonomy)
        if predictions.ndim != 3 or predictions.shape[:2] != (1, rows):
            raise self._misfit(f"`{OUTPUT}` of shape (1, {rows}, anchors)", f"{predictions.shape}")
        if not np.isfinite(predictions).all():
            raise self._misfit("finite predictions", "infinities or values that are not numbers")
        scores = predictions[0, 4:]
        if scores.size and not (scores.min() >= -_ROUNDING and scores.max() <= 1 + _ROUNDING):
            raise self._misfit("confidences in [0, 1]", f"{scores.min():.3g} to {scores.max():.3g}")
        return np.asarray(predictions[0], np.float32)

    def _check_ports(self) -> None:
        """Compares the inputs and outputs with what `ModelInfo` promises; free dimensions are checked when run."""
        inputs = {port.name: port for port in self._session.get_inputs()}
        outputs = {port.name: port for port in self._session.get_outputs()}
        if list(inputs) != [INPUT]:
            raise self._misfit(f"one input `{INPUT}`", ", ".join(inputs) or "none")
        if OUTPUT not in outputs:
            raise self._misfit(f"an output `{OUTPUT}`", ", ".join(outputs) or "none")
        for port in (inputs[INPUT], outputs[OUTPUT]):
            if port.type != "tensor(float)":
                raise self._misfit(f"`{port.name}` in float32", port.type)

        shape = inputs[INPUT].shape
        if len(shape) != 4 or not _fits(shape[0], 1) or not _fits(shape[1], 3):
            raise self._misfit(f"`{INPUT}` of shape (1, 3, height, width)", f"{shape}")
        if isinstance(shape[2], int) or isinstance(shape[3], int):
            raise self._misfit(f"`{INPUT}` with free height and width", f"{shape}")
        shape, classes = outputs[OUTPUT].shape, len(self.taxonomy)
        if len(shape) != 3 or not _fits(shape[1], 4 + classes):
            raise self._misfit(f"`{OUTPUT}` of shape (1, {4 + classes}, anchors) for {classes} classes", f"{shape}")

    def _try_out(self) -> None:
        """Runs the network once on a small image: what cannot work fails now, and not at the first board."""
        # Odd multiples, so that a network that needs a larger stride than it says fails; and not square.
        height, width = 5 * self.info.stride, 3 * self.info.stride
        ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None]  # so that the weights have something to work on
        self.raw(np.ascontiguousarray(np.broadcast_to(ramp, (1, 3, height, width))))

    def _misfit(self, expected: str, found: str) -> ModelError:
        return ModelError(
            f"expected {expected}, found {found}", where=self.path, fix="export it with `copperline models export`"
        )


def _fits(found: int | str | None, expected: int) -> bool:
    """A dimension is a number, or a name or None if it is free."""
    return not isinstance(found, int) or found == expected


def _require_grey(image: Image, what: str) -> None:
    if image.ndim != 2 or image.dtype != np.uint8:
        raise DataError(
            f"expected (H, W) uint8, found {image.shape} {image.dtype}", where=what, fix="convert it to 8-bit grey"
        )
