"""Training a model and adding it to the registry."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from copperline.data import SPLITS, BoardDataset
from copperline.evaluation import Evaluation
from copperline.inspection import Detector
from copperline.inspection.snowflake_push import registry_in_account
from copperline.registry import (
    CHALLENGER,
    CHAMPION,
    Baseline,
    ModelCard,
    ModelVersion,
    Registry,
    SplitCard,
    resolve_model,
)
from copperline.registry.card_figures import BY_CLASS, BY_SPLIT, INTERVALS
from copperline.settings import Settings
from copperline.taxonomy import Taxonomy
from copperline.training import InitialModel, TrainConfig, TrainedModel, all_trained_on, is_golden_only
from copperline.training.fit import validation_pairs_of
from copperline.workflows.baselining import NOT_SEEN, SEEN, measure_baseline

# In the card's training settings, where there are several data sets.
DATA_HASHES = "data_hashes"
LIMITATIONS: tuple[str, ...] = (
    "Measured on scans like those it was trained on; conditions of another camera are not measured.",
    "Without a reference it works on the test image alone, and finds less.",
    "A high recall on labelled boards is not an escape rate on the line: that is known only from reviews and audits.",
)

GOLDEN_ONLY = (
    "Trained on references alone: every defect it has seen was drawn into them, and no label was read. How defects are "
    "drawn was worked out from pictures and label statistics of DeepPCB's training boards.",
    "Validated on drawn defects, where its operating point was chosen too; on real defects it is not measured unless a "
    "split `test` says so.",
)
REFIT = (
    "Trained on the boards of validation too, with the settings of run {run}: the validation figures and the operating "
    "point are that run's model's, which had not seen these boards. This model was measured on no board that it was "
    "not trained on, unless a split `test` says so."
)


def initial_model(settings: Settings, name: str, taxonomy: Taxonomy) -> InitialModel:
    """The model that a run is to start from, by the name that `resolve_model` knows.

    Raises:
        ModelError: there is no such model, or its file cannot be used.
        TrainingError: its classes are not those of `taxonomy`.
    """
    resolved = resolve_model(settings, name)
    return InitialModel.of(f"{resolved.name} {resolved.version}", resolved.path, taxonomy)


def register_model(
    trained: TrainedModel,
    dataset: BoardDataset,
    settings: Settings,
    *,
    test: Evaluation | None = None,
    data_hashes: Sequence[str] = (),
) -> ModelVersion:
    """Registers a model that passed the parity gate, with its card, in the registry that the settings name.

    The first version becomes champion. A later one becomes challenger: what inspects the line changes only when a
    person promotes it.

    Args:
        test: figures on the test split, if they were measured.
        data_hashes: of the data sets that `dataset` was put together from, as they were saved; none: it is one.
    """
    registry = registry_in_account(settings) if settings.registry_on_snowflake else Registry(settings)
    has_champion = any(CHAMPION in version.aliases for version in registry.versions())
    card = model_card(trained, dataset, settings, test)
    card = card.model_copy(update={"baseline": validation_baseline(trained, dataset, settings)})
    if data_hashes:
        card = card.model_copy(update={"training": {**card.training, DATA_HASHES: list(data_hashes)}})
    return registry.register(trained.path, card, run_id=trained.run_id, alias=CHALLENGER if has_champion else CHAMPION)


def validation_baseline(trained: TrainedModel, dataset: BoardDataset, settings: Settings) -> Baseline | None:
    """What drift is measured against: the model's inspections of validation; of references alone, with the defects
    that were drawn into them."""
    pairs = validation_pairs_of(dataset, trained.config, trained.path.parent)
    kind = "boards of validation with drawn defects" if is_golden_only(dataset) else "boards of validation"
    remark = NOT_SEEN if trained.refit_of is None else SEEN
    return measure_baseline(Detector.load(trained.path, settings=settings), pairs, remark, kind=kind)


def model_card(trained: TrainedModel, dataset: BoardDataset, settings: Settings, test: Evaluation | None) -> ModelCard:
    """The card of a model that was trained on `dataset`; of a refit too, whose boards of `val` count as `train`."""
    dataset = dataset if trained.refit_of is None else all_trained_on(dataset)
    splits = {
        split: SplitCard(
            boards=sum(pair.split == split for pair in dataset),
            groups=tuple(sorted({pair.board_group for pair in dataset if pair.split == split})),
        )
        for split in SPLITS
    }
    return ModelCard(
        name=settings.model_name,
        network=trained.info.network,
        parameters=trained.info.parameters,
        data_source=dataset.name,  # not its path: a card travels
        data_hash=trained.info.data_hash,
        splits=splits,
        seed=trained.config.seed,
        training=_settings_of(trained.config),
        metrics=_metrics(trained, test, golden_only=is_golden_only(dataset)),
        operating_point=trained.info.operating_point,
        limitations=_limitations(trained, golden_only=is_golden_only(dataset)),
        parity=trained.parity,
    )


def _settings_of(config: TrainConfig) -> dict[str, JsonValue]:
    """Without what a run from fresh weights on one data set has not."""
    settings: dict[str, JsonValue] = config.model_dump(mode="json", exclude={"seed"}, exclude_none=True)
    return settings if config.mix else {name: value for name, value in settings.items() if name != "mix"}


def _metrics(trained: TrainedModel, test: Evaluation | None, *, golden_only: bool) -> dict[str, JsonValue]:
    """The figures by what they were measured on, then for each of these their intervals and the figures by class."""
    validation = "validation, drawn defects" if golden_only else "validation"
    if trained.refit_of is not None:
        validation += f", of run {trained.refit_of}"
    measured = {validation: trained.validation, **({} if test is None else {"test": test})}
    rows: dict[str, JsonValue] = {name: _figures(evaluation) for name, evaluation in measured.items()}
    if test is None and golden_only:
        rows["real defects"] = dict.fromkeys(_figures(trained.validation))
    metrics: dict[str, JsonValue] = {BY_SPLIT: rows}
    for name, evaluation in measured.items():
        metrics[name + INTERVALS] = _with_intervals(evaluation)
        metrics[name + BY_CLASS] = _by_class(evaluation)
    return metrics


def _limitations(trained: TrainedModel, *, golden_only: bool) -> tuple[str, ...]:
    limitations = LIMITATIONS
    if golden_only:
        limitations += GOLDEN_ONLY
    elif trained.config.drawn > 0:
        limitations += (f"Of its training crops {trained.config.drawn:.0%} showed drawn defects, not real ones.",)
    if trained.refit_of is not None:
        limitations += (REFIT.format(run=trained.refit_of),)
    return limitations


def _figures(evaluation: Evaluation) -> dict[str, JsonValue]:
    """The figures of a card; a person who wants the rest reads the report."""
    return {
        "images": evaluation.images,
        "ap33": evaluation.ap33,
        "map50": evaluation.map50,
        "map50_95": evaluation.map50_95,
        "f_score": evaluation.f_score,
        "precision": evaluation.precision,
        "recall": evaluation.recall,
        "clean_boards": evaluation.clean_boards,
        "false_call_boards": evaluation.false_call_boards,
    }


def _with_intervals(evaluation: Evaluation) -> dict[str, JsonValue]:
    """The rates with their 95 % intervals, written as the cards of the shipped models have them."""
    intervals = {**evaluation.intervals, "false_call_rate": evaluation.false_call_interval}
    rows: dict[str, JsonValue] = {}
    for name in ("ap33", "map50", "map50_95", "f_score", "precision", "recall", "false_call_rate"):
        low, high = intervals.get(name) or (None, None)
        rows[name] = {"value": getattr(evaluation, name), "low": low, "high": high}
    return rows


def _by_class(evaluation: Evaluation) -> dict[str, JsonValue]:
    return {
        name: {
            "labels": figures.labels,
            "ap50": figures.ap50,
            "ap50_95": figures.ap50_95,
            "precision": figures.precision,
            "recall": figures.recall,
        }
        for name, figures in evaluation.per_class.items()
    }
