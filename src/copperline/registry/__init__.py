"""Model versions with their cards: registered in MLflow, found by number or alias (`champion`, `challenger`), by
file or among those shipped. MLflow is imported only when its store is opened."""

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
from copperline.registry.resolve import DescribedModel, describe_model, promote_model, resolve_model
from copperline.registry.store import CHALLENGER, CHAMPION, ModelVersion, Registry, ResolvedModel, file_sha256

__all__ = [
    "BUILTIN",
    "CHALLENGER",
    "CHAMPION",
    "DEFAULT_BUILTIN",
    "Baseline",
    "BuiltinModel",
    "DescribedModel",
    "ModelCard",
    "ModelVersion",
    "Registry",
    "ResolvedModel",
    "SplitCard",
    "builtin_folder",
    "builtin_model",
    "builtin_models",
    "describe_model",
    "disagreements",
    "file_sha256",
    "promote_model",
    "resolve_model",
]
