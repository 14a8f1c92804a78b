"""From a data set to an exported, measured model: train, validate, choose the operating point, export, compare."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from copperline.data import BoardDataset, BoardPair, data_hash, read_pair
from copperline.detections import FloatArray
from copperline.evaluation import Evaluation, choose_operating_point, evaluate, predict_pairs
from copperline.model_info import ModelInfo, OperatingPoint, Parity
from copperline.reference import register
from copperline.runtime import OnnxModel, network_input
from copperline.settings import Settings
from copperline.taxonomy import Taxonomy
from copperline.training.checkpoint import Checkpoint
from copperline.training.config import TrainConfig
from copperline.training.distributed import join_world
from copperline.training.loop import Listener, Metrics, train
from copperline.training.parity import check_parity
from copperline.training.predictor import TorchPredictor
from copperline.training.tracking import tracked_run
from copperline.yolo.export import export_onnx
from copperline.yolo.network import Network, count_parameters

PARITY_PAIRS = 8
MODEL_FILE = "model.onnx"


@dataclass(frozen=True)
class TrainedModel:
    """A model that passed the parity gate, ready to be registered.

    Attributes:
        path: the ONNX file in the run's folder.
        info: what the file says of itself.
        config: the run's settings.
        validation: on the validation split, at the operating point chosen there.
        parity: of the exported file with the trained network.
        history: one dict of metrics for each epoch.
        seconds: time in training steps, without validation.
        run_id: of the MLflow run.
    """

    path: Path
    info: ModelInfo
    config: TrainConfig
    validation: Evaluation
    parity: Parity
    history: list[Metrics]
    seconds: float
    run_id: str


def fit(
    dataset: BoardDataset,
    config: TrainConfig,
    folder: Path,
    settings: Settings,
    *,
    target_recall: float = 0.995,
    resume: Checkpoint | None = None,
    listeners: Sequence[Listener] = (),
) -> TrainedModel | None:
    """Trains on the split `train`, chooses the operating point on `val`; the split `test` is not looked at.

    Joins the other processes if the environment names some (RANK, WORLD_SIZE); all but the main one get None.

    Raises:
        DataError: a split is missing.
        TrainingError: see `train`.
        ModelError: the exported model differs from the trained network.
    """
    pairs, validation_pairs = dataset.split("train"), dataset.split("val")
    digest = data_hash(dataset)
    facts = {"data_source": dataset.source, "data_hash": digest, "run_folder": folder.name}
    with (
        join_world() as world,
        tracked_run(settings, config, facts) if world.is_main else nullcontext() as run,
    ):
        result = train(
            pairs,
            dataset.taxonomy,
            config,
            folder,
            data_hash=digest,
            validate=lambda network: _validate(network, validation_pairs, dataset.taxonomy),
            listeners=[run, *listeners] if run else [],
            world=world,
            threads=settings.cores,
            resume=resume,
        )
        if run is None:
            return None
        validation = _measure(result.network, validation_pairs, dataset.taxonomy, target_recall)
        run.log({f"final_{name}": value for name, value in _figures(validation).items()})
        info = ModelInfo(
            network=config.network,
            parameters=count_parameters(result.network),
            stride=result.network.stride,
            classes=ModelInfo.class_infos(dataset.taxonomy),
            operating_point=validation.operating_point,
            data_hash=digest,
        )
        path = export_onnx(result.network, info, folder / MODEL_FILE)
        parity = check_parity(
            TorchPredictor(result.network).raw,
            OnnxModel(path, threads=settings.cores).raw,
            _parity_inputs(validation_pairs, result.network.stride),
            str(path),
        )
        return TrainedModel(path, info, config, validation, parity, result.history, result.seconds, run.run_id)


def _validate(network: Network, pairs: Sequence[BoardPair], taxonomy: Taxonomy) -> Metrics:
    """The figures that a learning curve needs; they do not depend on an operating point."""
    detections = predict_pairs(TorchPredictor(network), pairs)
    anywhere = OperatingPoint.uniform(taxonomy, 0.25)
    return {
        f"val_{name}": value
        for name, value in _figures(
            evaluate(detections, [pair.labels for pair in pairs], [], taxonomy, anywhere, resamples=0)
        ).items()
    }


def _measure(network: Network, pairs: Sequence[BoardPair], taxonomy: Taxonomy, target_recall: float) -> Evaluation:
    """Chooses the operating point on `pairs` and measures there."""
    predictor = TorchPredictor(network)
    labels = [pair.labels for pair in pairs]
    detections = predict_pairs(predictor, pairs)
    clean = predict_pairs(predictor, pairs, clean=True)
    operating_point = choose_operating_point(detections, labels, clean, taxonomy, target_recall)
    return evaluate(detections, labels, clean, taxonomy, operating_point)


def _figures(evaluation: Evaluation) -> Metrics:
    """Those that were measured."""
    figures = {"map50": evaluation.map50, "map50_95": evaluation.map50_95, "ap33": evaluation.ap33}
    return {name: value for name, value in figures.items() if value is not None}


def _parity_inputs(pairs: Sequence[BoardPair], stride: int) -> list[FloatArray]:
    """Some pairs spread over the split, and one of them as a single image."""
    inputs = []
    for index in np.unique(np.linspace(0, len(pairs) - 1, PARITY_PAIRS).astype(int)):
        test, reference = read_pair(pairs[index])
        aligned = None if reference is None else register(test, reference).reference
        inputs.append(network_input(test, aligned, stride))
        if len(inputs) == 1:
            inputs.append(network_input(test, None, stride))
    return inputs
