"""Training anew on the validation boards too, once settings and operating point have been chosen with their help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from copperline.data import BoardDataset, BoardPair, data_hash
from copperline.errors import TrainingError
from copperline.evaluation import Evaluation
from copperline.runtime import OnnxModel
from copperline.settings import Settings
from copperline.training.checkpoint import Checkpoint
from copperline.training.engines import Engine
from copperline.training.engines.base import Tell, tell_nobody
from copperline.training.fit import MODEL_FILE, TrainedModel, TrainingPlan, carry_out, validation_pairs_of
from copperline.training.loop import Listener
from copperline.training.validation import measure_at
from copperline.yolo.network import Network, build_network


def refit(
    dataset: BoardDataset,
    chosen: Path,
    folder: Path,
    settings: Settings,
    *,
    resume: Checkpoint | None = None,
    init: Path | None = None,
    listeners: Sequence[Listener] = (),
    engine: Engine | None = None,
    tell: Tell = tell_nobody,
) -> TrainedModel | None:
    """Trains on the splits `train` and `val` together, with the settings of a finished run.

    Nothing is left to choose an operating point on, so the one of `chosen` is carried over. For the same reason the
    figures of the result are those of the network of `chosen`, measured again on `val`, which it had not seen.

    Args:
        dataset: the same that `chosen` was trained on, with `val`. With `test` too, if `chosen` is the demo's, which
            was opened with it; it is not trained on.
        chosen: the run's folder, which holds its checkpoint and its model.
        resume: a checkpoint of an interrupted refit.
        init: the model that `chosen` started from, if it did: this run starts from it too.
        engine, tell: see `fit`.

    Raises:
        TrainingError: `chosen` did not finish, or was trained on other data; and see `fit`.
    """
    finished = Checkpoint.load(chosen)
    model = chosen / MODEL_FILE
    if finished.epoch < finished.config.epochs or not model.is_file():
        raise TrainingError(
            f"expected a finished run, found one at epoch {finished.epoch} of {finished.config.epochs}"
            + ("" if model.is_file() else " without a model"),
            where=chosen,
            fix="finish it with --resume, or name another run",
        )
    if finished.data_hash not in _hashes(dataset) or finished.classes != dataset.taxonomy.names:
        raise TrainingError(
            "expected a run that was trained on this data set with its validation split, found one of other data",
            where=chosen,
            fix="name the data set that it was trained on, or another run",
        )
    validation_pairs = validation_pairs_of(dataset, finished.config, folder)
    point = OnnxModel(model, threads=settings.cores).info.operating_point
    carried = point.noted(f"chosen in run {chosen.name}")

    def judge(_: Network) -> Evaluation:
        return measure_at(_trained_network(finished), validation_pairs, dataset.taxonomy, carried)

    together = all_trained_on(dataset)
    plan = TrainingPlan(
        dataset=together,
        pairs=together.split("train"),
        data_hash=data_hash(together),
        validation_pairs=(),
        judge=judge,
        parity_pairs=validation_pairs,
        parts=together.parts_of("train"),
        refit_of=chosen.name,
    )
    return carry_out(
        plan,
        finished.config,
        folder,
        settings,
        resume=resume,
        init=init,
        listeners=listeners,
        engine=engine,
        tell=tell,
    )


def all_trained_on(dataset: BoardDataset) -> BoardDataset:
    """The data set with its boards of `val` in `train`."""

    def moved(pair: BoardPair) -> BoardPair:
        return replace(pair, split="train") if pair.split == "val" else pair

    return replace(dataset, pairs=tuple(map(moved, dataset)))


def _hashes(dataset: BoardDataset) -> set[str]:
    """Of the data set as it is, and without the boards that no training looks at."""
    kept = [i for i, pair in enumerate(dataset) if pair.split != "test"]
    pairs = tuple(dataset.pairs[i] for i in kept)
    parts = tuple(dataset.parts[i] for i in kept) if dataset.parts else ()
    return {data_hash(dataset), data_hash(replace(dataset, pairs=pairs, parts=parts))}


def _trained_network(finished: Checkpoint) -> Network:
    network = build_network(finished.config.network, len(finished.classes))
    network.load_state_dict(finished.average)
    return network.eval()
