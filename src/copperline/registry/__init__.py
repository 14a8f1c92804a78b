"""Model versions with their cards: registered in MLflow or in a Snowflake account, found by number or alias
(`champion`, `challenger`), by file or among those shipped. MLflow is imported only when its store is opened."""

from copperline.registry.baseline import Baseline
from copperline.registry.builtin import (
    BUILTIN,
    DEFAULT_BUILTIN,
    BuiltinModel,
    builtin_folder,
    builtin_model,
    builtin_models,
    disagreements,
)
from copperline.registry.card import ModelCard, SplitCard
from copperline.registry.card_figures import CardFigure, CardMeasurement, card_measurements
from copperline.registry.catalogue import Catalogue, CatalogueEntry, catalogue
from copperline.registry.on_snowflake import SnowflakeRegistry
from copperline.registry.opening import ModelRegistry, open_registry
from copperline.registry.promotions import History, Promotion
from copperline.registry.resolve import DescribedModel, describe_model, promote_model, resolve_model
from copperline.registry.runs import TrainingRun, read_run
from copperline.registry.store import CHALLENGER, CHAMPION, ModelVersion, Registry, ResolvedModel, file_sha256

__all__ = [
    "BUILTIN",
    "CHALLENGER",
    "CHAMPION",
    "DEFAULT_BUILTIN",
    "Baseline",
    "BuiltinModel",
    "CardFigure",
    "CardMeasurement",
    "Catalogue",
    "CatalogueEntry",
    "DescribedModel",
    "History",
    "ModelCard",
    "ModelRegistry",
    "ModelVersion",
    "Promotion",
    "Registry",
    "ResolvedModel",
    "SnowflakeRegistry",
    "SplitCard",
    "TrainingRun",
    "builtin_folder",
    "builtin_model",
    "builtin_models",
    "card_measurements",
    "catalogue",
    "describe_model",
    "disagreements",
    "file_sha256",
    "open_registry",
    "promote_model",
    "read_run",
    "resolve_model",
]
