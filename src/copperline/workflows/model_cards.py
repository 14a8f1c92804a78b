"""From the model that a row names to its card."""

from __future__ import annotations

from copperline.registry import ModelCard, builtin_model, builtin_models, open_registry
from copperline.settings import Settings


def card_of_row(settings: Settings, model_name: str, model_version: str) -> ModelCard | None:
    """The card of the registered version or shipped model that an inspection's row names.

    None: the model was given as a file, is of another registry, or came with another release of Copperline.

    Raises:
        ModelError: the registry or the card cannot be read.
    """
    registry = open_registry(settings)
    if model_name == registry.name:
        for version in registry.versions():
            if str(version.version) == model_version:
                return registry.read_card(version)
    if model_name in builtin_models():
        shipped = builtin_model(model_name)
        if shipped.sha256[:12] == model_version:
            return shipped.card
    return None
