"""Training a model and adding it to the registry."""

from __future__ import annotations

from pydantic import JsonValue

from copperline.data import SPLITS, BoardDataset
from copperline.evaluation import Evaluation
from copperline.registry import CHALLENGER, CHAMPION, ModelCard, ModelVersion, Registry, SplitCard
from copperline.settings import Settings
from copperline.training import TrainedModel

LIMITATIONS = (
    "Measured on scans like those it was trained on; conditions of another camera are not measured.",
    "Without a reference it works on the test image alone, and finds less.",
    "A high recall on labelled boards is not an escape rate on the line: that is known only from reviews and audits.",
)


def register_model(
    trained: TrainedModel, dataset: BoardDataset, settings: Settings, *, test: Evaluation | None = None
) -> ModelVersion:
    """Registers a model that passed the parity gate, with its card.

    The first version becomes champion. A later one becomes challenger: what inspects the line changes only when a
    person promotes it.

    Args:
        test: figures on the test split, if they were measured.
    """
    registry = Registry(settings)
    has_champion = any(CHAMPION in version.aliases for version in registry.versions())
    card = model_card(trained, dataset, settings, test)
    return registry.register(trained.path, card, run_id=trained.run_id, alias=CHALLENGER if has_champion else CHAMPION)


def model_card(trained: TrainedModel, dataset: BoardDataset, settings: Settings, test: Evaluation | None) -> ModelCard:
    splits = {
        split: SplitCard(
            boards=sum(pair.split == split for pair in dataset),
            groups=tuple(sorted({pair.board_group for pair in dataset if pair.split == split})),
        )
        for split in SPLITS
    }
    splits_measured = {"validation": trained.validation} | ({} if test is None else {"test": test})
    return ModelCard(
        name=settings.model_name,
        network=trained.info.network,
        parameters=trained.info.parameters,
        data_source=dataset.name,  # not its path: a card travels
        data_hash=trained.info.data_hash,
        splits=splits,
        seed=trained.config.seed,
        training=trained.config.model_dump(exclude={"seed"}),
        metrics={"by split": {split: _figures(figures) for split, figures in splits_measured.items()}},
        operating_point=trained.info.operating_point,
        limitations=LIMITATIONS,
        parity=trained.parity,
    )


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
