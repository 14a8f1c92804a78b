"""Model versions with their cards: registered in MLflow, found by number or alias (`champion`, `challenger`), by
file or among those shipped. MLflow is imported only when its store is opened."""

from copperline.registry.card import ModelCard, SplitCard
from copperline.registry.resolve import builtin_models, resolve_model
from copperline.registry.store import CHALLENGER, CHAMPION, ModelVersion, Registry, ResolvedModel

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "ModelCard",
    "ModelVersion",
    "Registry",
    "ResolvedModel",
    "SplitCard",
    "builtin_models",
    "resolve_model",
]
