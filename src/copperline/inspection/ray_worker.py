"""What runs on the nodes of a cluster: an actor with one network on one core, which inspects chunks of boards."""

from __future__ import annotations

import pickle
import platform
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from copperline.errors import ClusterError, CopperlineError, DataError, ModelError
from copperline.inspection.batch import Outcome, outcomes
from copperline.inspection.detector import Detector
from copperline.inspection.pairs import ImagePair
from copperline.inspection.policy import CallPolicy
from copperline.model_info import OperatingPoint
from copperline.runtime import OnnxModel, Tiling
from copperline.stage import Location, require_readable

# Columns of the two sides of the data set.
BOARDS, OUTCOMES = "boards", "outcomes"

Chunk = tuple[tuple[int, ImagePair], ...]
"""Boards of one task, each with its place in the batch."""

Answer = tuple[tuple[int, Outcome], ...] | CopperlineError
"""What came of a chunk, or what ends the whole batch."""


@dataclass(frozen=True, slots=True)
class Job:
    """All that an actor needs, so that a node need have neither the registry nor the model's file.

    Attributes:
        model: bytes of the ONNX file.
        model_path: where that lies, for messages; nodes need not see it.
        try_first: a file of the stage that the driver could read, to be tried before any work; None: none could be.
    """

    model: bytes
    model_path: str
    model_name: str
    model_version: str
    operating_point: OperatingPoint
    tiling: Tiling
    policy: CallPolicy
    station_id: str
    try_first: Location | None


class Inspector:
    """One network on one core. Called with a column of pickled chunks, it gives a column of pickled answers.

    What ends the batch is an answer too, and not raised: of an error in an actor Ray Data keeps only the text.
    """

    def __init__(self, job: Job) -> None:
        cv2.setNumThreads(1)
        self._job = job
        self._failure: CopperlineError | None = None
        self._detector: Detector | None = None
        try:
            self._detector = _load(job)
            if job.try_first is not None:
                _require_seen(job.try_first)
        except CopperlineError as error:
            self._failure = _named(error, job)

    def __call__(self, batch: Mapping[str, Sequence[bytes]]) -> dict[str, list[bytes]]:
        return {OUTCOMES: [pickle.dumps(self._answer(pickle.loads(chunk))) for chunk in batch[BOARDS]]}

    def _answer(self, chunk: Chunk) -> Answer:
        if self._failure is not None or self._detector is None:
            return self._failure or ClusterError("the worker has no model", fix="start the command again")
        job = self._job
        try:
            found = outcomes(self._detector, [pair for _, pair in chunk], station_id=job.station_id, policy=job.policy)
            return tuple((place, outcome) for (place, _), outcome in zip(chunk, found, strict=True))
        except CopperlineError as error:
            self._failure = _named(error, job)
            return self._failure


def _load(job: Job) -> Detector:
    with tempfile.TemporaryDirectory(prefix="copperline-model-") as folder:
        path = Path(folder, f"{job.model_name}-{job.model_version}.onnx".replace("/", "-"))
        path.write_bytes(job.model)
        # ONNX Runtime reads the file once, here.
        model = OnnxModel(path, threads=1, tiling=job.tiling)
    return Detector(model, job.model_name, job.model_version, job.operating_point)


def _named(error: CopperlineError, job: Job) -> CopperlineError:
    """The error with the model's own file in place of the node's copy, which is gone."""
    if isinstance(error, ModelError):
        error.where = job.model_path
    return error


def _require_seen(location: Location) -> None:
    try:
        require_readable(location)
    except DataError as error:
        raise ClusterError(
            f"the node {platform.node()} cannot read a file that this machine can ({error.problem})",
            where=location,
            fix="put the boards where all nodes see them under the same path, or on S3",
        ) from error
    except CopperlineError as error:
        # Of its own kind, so that it is told what to do; only where it happened is added.
        error.problem = f"on the node {platform.node()} {error.problem}"
        raise


def first_readable(pairs: Sequence[Any]) -> Location | None:
    """The first test image of some that can be read from here."""
    for pair in pairs[:16]:
        try:
            require_readable(pair.test_path)
        except DataError:
            continue
        location: Location = pair.test_path
        return location
    return None
