"""Starting from a trained model instead of from fresh weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from copperline.data import sha256_of
from copperline.errors import ModelError, TrainingError
from copperline.runtime import OnnxModel
from copperline.taxonomy import Taxonomy
from copperline.training.batches import ImageCache, batches
from copperline.training.config import TrainConfig
from copperline.training.predictor import TorchPredictor
from copperline.yolo.network import Network
from copperline.yolo.reimport import measure_norms, network_from_onnx

# Of crops, to measure what the norms see: some 350 of them, of which the statistics hardly change with more.
MEASURED_STEPS = 8
TOLERANCE = 1e-4  # of a confidence
BOX_TOLERANCE = 1e-2  # px


@dataclass(frozen=True, slots=True)
class InitialModel:
    """What a run starts from.

    Attributes:
        name: with its version, for the card.
        path: the ONNX file.
        sha256: of the file, hexadecimal.
        network: its network's name.
    """

    name: str
    path: Path
    sha256: str
    network: str

    @classmethod
    def of(cls, name: str, path: Path, taxonomy: Taxonomy) -> InitialModel:
        """Raises ModelError if the file cannot be used, TrainingError if its classes are not those of `taxonomy`."""
        model = OnnxModel(path, threads=1)
        if model.taxonomy.names != taxonomy.names:
            raise TrainingError(
                f"expected a model with the classes of the data, {', '.join(taxonomy.names)}; {name} has "
                f"{', '.join(model.taxonomy.names)}",
                where=path,
                fix="start from another model, or train without --init",
            )
        return cls(name, path, sha256_of(path), model.info.network)


def initial_network(path: Path, config: TrainConfig, taxonomy: Taxonomy, images: Iterable[Tensor]) -> Network:
    """The network of `config` in eval mode, computing what the model file computes, its norms as `images` have them.

    Args:
        path: the ONNX file with the SHA-256 `config.init_sha256`.
        images: batches to train on, each (N, 3, S, S) in [0, 1].

    Raises:
        ModelError: the file is another, or holds another network; or the two do not compute the same.
        TrainingError: its classes are not those of `taxonomy`.
    """
    initial = InitialModel.of(config.init or path.name, path, taxonomy)
    if initial.sha256 != config.init_sha256 or initial.network != config.network:
        raise ModelError(
            f"expected {config.network} with SHA-256 {(config.init_sha256 or 'none')[:12]} to start from, found "
            f"{initial.network} with {initial.sha256[:12]}",
            where=path,
            fix="name the model that the run is to start from",
        )
    network = network_from_onnx(path, config.network, len(taxonomy))
    measure_norms(network, images)
    _require_equal(network, path)
    return network


def crops_to_measure(cache: ImageCache, config: TrainConfig, parts: tuple[int, ...]) -> Iterable[Tensor]:
    """The first batches that a run trains on; the same on every worker."""
    steps = islice(batches(cache, config, 0, parts=parts), MEASURED_STEPS)
    return (batch.images.float().div_(255) for step in steps for batch in step)


def _require_equal(network: Network, path: Path) -> None:
    """A file whose weights were understood wrongly must not pass for a trained model."""
    side = 4 * network.stride
    images = np.random.default_rng(0).random((1, 3, side, side), np.float32)
    with torch.no_grad():
        difference = np.abs(TorchPredictor(network).raw(images) - OnnxModel(path, threads=1).raw(images))
    if difference[4:].max() > TOLERANCE or difference[:4].max() > BOX_TOLERANCE:
        raise ModelError(
            f"the network does not compute what its file computes: confidences differ by {difference[4:].max():.2g}, "
            f"boxes by {difference[:4].max():.2g} px",
            where=path,
            fix="start from a model that this version of Copperline exported, or train without --init",
        )
