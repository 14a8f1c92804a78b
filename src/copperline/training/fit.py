"""From a data set to an exported, measured model: train, validate, choose the operating point, export, compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from copperline.data import BoardDataset, BoardPair, data_hash
from copperline.data.drawn import require_drawable
from copperline.errors import TrainingError
from copperline.evaluation import Evaluation
from copperline.model_info import ModelInfo, Parity
from copperline.runtime import OnnxModel
from copperline.settings import Settings
from copperline.training.checkpoint import Checkpoint
from copperline.training.config import TrainConfig
from copperline.training.distributed import World
from copperline.training.engines import Engine, ThisProcess, TrainingJob
from copperline.training.engines.base import Tell, tell_nobody
from copperline.training.golden_only import drawn_validation, is_golden_only
from copperline.training.loop import Listener, Metrics
from copperline.training.parity import check_parity
from copperline.training.predictor import TorchPredictor
from copperline.training.tracking import tracked_run
from copperline.training.validation import choose_and_measure, parity_inputs, ranking_figures
from copperline.yolo.export import export_onnx
from copperline.yolo.network import Network, count_parameters

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
        refit_of: name of the run that chose settings and operating point and that `validation` is of, if this model
            was then trained on its validation boards too; see `refit`.
    """

    path: Path
    info: ModelInfo
    config: TrainConfig
    validation: Evaluation
    parity: Parity
    history: list[Metrics]
    seconds: float
    run_id: str
    refit_of: str | None = None


def fit(
    dataset: BoardDataset,
    config: TrainConfig,
    folder: Path,
    settings: Settings,
    *,
    target_recall: float = 0.995,
    resume: Checkpoint | None = None,
    init: Path | None = None,
    listeners: Sequence[Listener] = (),
    engine: Engine | None = None,
    tell: Tell = tell_nobody,
) -> TrainedModel | None:
    """Trains on the split `train`, chooses the operating point on `val`; the split `test` is not looked at.

    A data set of references alone (`read_golden`) is trained and validated on defects drawn into them.

    Choosing, export and comparison are done in this process, wherever the workers train. In this process itself it
    joins the others that the environment names (RANK, WORLD_SIZE), if it does; all but the main one get None.

    Args:
        target_recall: on validation, that the operating point aims at.
        resume, init: see `train`.
        engine: what trains; default: this process.
        tell: see `Engine`.

    Raises:
        DataError: a split is missing.
        SettingsError: defects are to be drawn of classes that cannot be.
        TrainingError: see `train`; or the references alone are to be trained on without drawn defects.
        ModelError: the exported model differs from the trained network.
    """
    taxonomy = dataset.taxonomy
    pairs, validation_pairs = dataset.split("train"), validation_pairs_of(dataset, config, folder)

    def judge(network: Network) -> Evaluation:
        golden_only = is_golden_only(dataset)
        # A reference alone gives no defect-free board: compared with itself it would prove nothing.
        trained_on = () if golden_only else pairs
        measured = choose_and_measure(network, validation_pairs, taxonomy, target_recall, trained_on)
        return _on_drawn_defects(measured) if golden_only else measured

    plan = TrainingPlan(
        dataset=dataset,
        pairs=pairs,
        data_hash=data_hash(dataset),
        validation_pairs=validation_pairs,
        judge=judge,
        parity_pairs=validation_pairs,
        parts=dataset.parts_of("train"),
    )
    return carry_out(
        plan, config, folder, settings, resume=resume, init=init, listeners=listeners, engine=engine, tell=tell
    )


@dataclass(frozen=True)
class TrainingPlan:
    """What is trained on and how the result is judged.

    Attributes:
        pairs: trained on.
        data_hash: of all that the run learns from, which a run to resume must share.
        validation_pairs: for the learning curve; none: there is nothing to validate on.
        judge: gives the model's figures and operating point, given the trained network.
        parity_pairs: that the exported model is compared on.
        parts: for each of `pairs`, which data set it is of, if there are several.
        refit_of: see `TrainedModel`.
    """

    dataset: BoardDataset
    pairs: Sequence[BoardPair]
    data_hash: str
    validation_pairs: Sequence[BoardPair]
    judge: Callable[[Network], Evaluation]
    parity_pairs: Sequence[BoardPair]
    parts: tuple[int, ...] = ()
    refit_of: str | None = None


def carry_out(
    plan: TrainingPlan,
    config: TrainConfig,
    folder: Path,
    settings: Settings,
    *,
    resume: Checkpoint | None,
    init: Path | None,
    listeners: Sequence[Listener],
    engine: Engine | None,
    tell: Tell,
) -> TrainedModel | None:
    """Trains, judges, exports and compares; tracked in MLflow."""
    taxonomy = plan.dataset.taxonomy
    if config.drawn > 0:
        require_drawable(taxonomy)
    engine = engine or ThisProcess(settings.cores)
    job = TrainingJob(plan.pairs, plan.validation_pairs, taxonomy, config, plan.data_hash, plan.parts, init)
    if not World.from_environment().is_main:
        engine.train(job, folder, resume=resume, listeners=[], tell=tell)
        return None
    facts = {"data_source": plan.dataset.source, "data_hash": plan.data_hash, "run_folder": folder.name}
    with tracked_run(settings, config, facts) as run:
        result = engine.train(job, folder, resume=resume, listeners=[run, *listeners], tell=tell)
        if result is None:
            raise TrainingError("expected the trained network in the main process, found none", fix="report this fault")
        validation = plan.judge(result.network)
        run.log({f"final_{name}": value for name, value in ranking_figures(validation).items()})
        info = ModelInfo(
            network=config.network,
            parameters=count_parameters(result.network),
            stride=result.network.stride,
            classes=ModelInfo.class_infos(taxonomy),
            operating_point=validation.operating_point,
            data_hash=plan.data_hash,
        )
        path = export_onnx(result.network, info, folder / MODEL_FILE)
        parity = check_parity(
            TorchPredictor(result.network).raw,
            OnnxModel(path, threads=settings.cores).raw,
            parity_inputs(plan.parity_pairs, result.network.stride),
            str(path),
        )
        return TrainedModel(
            path, info, config, validation, parity, result.history, result.seconds, run.run_id, plan.refit_of
        )


def validation_pairs_of(dataset: BoardDataset, config: TrainConfig, folder: Path) -> Sequence[BoardPair]:
    """The split `val`; of references alone, with defects drawn into them by the main process."""
    pairs = dataset.split("val")
    if not is_golden_only(dataset):
        return pairs
    if config.drawn < 1:
        raise TrainingError(
            f"expected drawn defects in every crop of references alone, found a share of {config.drawn:g}",
            fix="train with drawn=1",
        )
    require_drawable(dataset.taxonomy)
    return drawn_validation(pairs, dataset.taxonomy, folder, config.box_margin)


def _on_drawn_defects(measured: Evaluation) -> Evaluation:
    told = measured.operating_point.noted("measured on drawn defects, not on real ones")
    return measured.model_copy(update={"operating_point": told})
