"""What a trained network is worth on boards that it was not trained on, and the operating point chosen there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from copperline.data import BoardPair
from copperline.detections import Detections, FloatArray
from copperline.evaluation import Evaluation, choose_operating_point, evaluate, predict_pairs
from copperline.model_info import OperatingPoint
from copperline.runtime import network_input
from copperline.taxonomy import Taxonomy
from copperline.training.batches import registered_pair
from copperline.training.distributed import ALONE, World
from copperline.training.loop import Metrics
from copperline.training.predictor import TorchPredictor
from copperline.yolo.network import Network

PARITY_PAIRS = 8
# Defect-free boards of training pairs that the operating point is chosen with, beside those of validation.
TRAINED_CLEAN_BOARDS = 300


def curve_figures(network: Network, pairs: Sequence[BoardPair], taxonomy: Taxonomy, world: World = ALONE) -> Metrics:
    """The figures that a learning curve needs; they do not depend on an operating point.

    The boards are shared out among the workers of `world`, who all call this; the main one gets the figures, the others
    get none.
    """
    mine = predict_pairs(TorchPredictor(network), pairs[world.rank :: world.size])
    gathered = world.gathered(mine)
    if gathered is None:
        return {}
    detections = [gathered[i % world.size][i // world.size] for i in range(len(pairs))]
    anywhere = OperatingPoint.uniform(taxonomy, 0.25)
    measured = evaluate(detections, _labels(pairs), [], taxonomy, anywhere, resamples=0)
    return {f"val_{name}": value for name, value in ranking_figures(measured).items()}


def choose_and_measure(
    network: Network,
    pairs: Sequence[BoardPair],
    taxonomy: Taxonomy,
    target_recall: float,
    trained_on: Sequence[BoardPair] = (),
) -> Evaluation:
    """Chooses the operating point on `pairs` and measures there.

    Args:
        trained_on: pairs from which more defect-free boards come, for choosing alone. Validation has few board groups,
            and false calls come from how a group's boards differ from their references: these are of all the others.
            A network has seen them, so that it raises rather fewer false calls there than on new boards.
    """
    predictor = TorchPredictor(network)
    detections, clean = _predictions(predictor, pairs)
    seen = predict_pairs(predictor, _spread(trained_on, TRAINED_CLEAN_BOARDS), clean=True)
    point = choose_operating_point(detections, _labels(pairs), [*clean, *seen], taxonomy, target_recall)
    if seen:
        point = point.noted(f"{len(seen)} of the defect-free boards are of training")
    return evaluate(detections, _labels(pairs), clean, taxonomy, point)


def measure_at(network: Network, pairs: Sequence[BoardPair], taxonomy: Taxonomy, point: OperatingPoint) -> Evaluation:
    """Measures on `pairs` at an operating point that was chosen before."""
    detections, clean = _predictions(TorchPredictor(network), pairs)
    return evaluate(detections, _labels(pairs), clean, taxonomy, point)


def ranking_figures(evaluation: Evaluation) -> Metrics:
    """Those that were measured."""
    figures = {"map50": evaluation.map50, "map50_95": evaluation.map50_95, "ap33": evaluation.ap33}
    return {name: value for name, value in figures.items() if value is not None}


def parity_inputs(pairs: Sequence[BoardPair], stride: int) -> list[FloatArray]:
    """Some pairs spread over the split, and one of them as a single image."""
    inputs = []
    for pair in _spread(pairs, PARITY_PAIRS):
        test, reference = registered_pair(pair)
        inputs.append(network_input(test, reference, stride))
        if len(inputs) == 1:
            inputs.append(network_input(test, None, stride))
    return inputs


def _spread(pairs: Sequence[BoardPair], most: int) -> list[BoardPair]:
    """At most so many, evenly spaced, so that every group gives some."""
    return [pairs[index] for index in np.unique(np.linspace(0, len(pairs) - 1, min(most, len(pairs))).astype(int))]


def _predictions(predictor: TorchPredictor, pairs: Sequence[BoardPair]) -> tuple[list[Detections], list[Detections]]:
    """On the boards, and on the defect-free boards made from them."""
    return predict_pairs(predictor, pairs), predict_pairs(predictor, pairs, clean=True)


def _labels(pairs: Sequence[BoardPair]) -> list[Detections]:
    return [pair.labels for pair in pairs]
