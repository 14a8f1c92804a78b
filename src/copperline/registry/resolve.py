"""From the name that a user gives to a model: a path, a shipped model, a version or an alias."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from copperline.errors import ModelError
from copperline.registry.builtin import BUILTIN, DEFAULT_BUILTIN, SUFFIX, BuiltinModel, builtin_model, builtin_models
from copperline.registry.card import ModelCard
from copperline.registry.opening import ModelRegistry, open_registry
from copperline.registry.store import CHAMPION, ModelVersion, Registry, ResolvedModel, file_sha256
from copperline.settings import Settings

# Shown on stderr unless the program that uses Copperline sends its log elsewhere.
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DescribedModel:
    """A model that has a card: a registered version, or a shipped one.

    Attributes:
        name, version: as rows and reports name it.
        aliases: that point to it; a shipped model has none.
        path, sha256: of its file, which was verified.
        card: its card.
    """

    name: str
    version: str
    aliases: tuple[str, ...]
    path: Path
    sha256: str
    card: ModelCard


def resolve_model(settings: Settings, name: str) -> ResolvedModel:
    """The model file that `name` means.

    Args:
        settings: says where the registry is.
        name: a path that ends in `.onnx`; `builtin:NAME`, a model shipped with Copperline; or a version number or an
            alias of the registered model. Only the last opens the registry. While nothing is registered, `champion`
            means the shipped model `deeppcb`, and a warning is logged.

    Returns:
        The file; for a path or a shipped model the version is the first 12 hexadecimal digits of its SHA-256.

    Raises:
        ModelError: there is no such model, the message lists those there are; or its file is damaged.
    """
    if _is_path(name):
        path = Path(name)
        return ResolvedModel(path, path.stem, file_sha256(path)[:12])
    shipped = _shipped(settings, name)
    if shipped is not None:
        return ResolvedModel(shipped.path, shipped.name, shipped.sha256[:12])
    return open_registry(settings).resolve(name)


def describe_model(settings: Settings, name: str) -> DescribedModel:
    """As `resolve_model`, with the card; a path has none and is refused."""
    if _is_path(name):
        raise ModelError(
            "expected a version, an alias or `builtin:NAME`, which have a card, found a path",
            where=name,
            fix="the registered and the shipped models are listed by `copperline models list`",
        )
    shipped = _shipped(settings, name)
    if shipped is not None:
        return DescribedModel(shipped.name, shipped.sha256[:12], (), shipped.path, shipped.sha256, shipped.card)
    registry = open_registry(settings)
    found, file = registry.get(name), registry.resolve(name)
    return DescribedModel(file.name, file.version, found.aliases, file.path, found.sha256, registry.read_card(found))


def promote_model(
    settings: Settings,
    name: str,
    alias: str = CHAMPION,
    *,
    by: str | None = None,
    reason: str = "",
    expected: int | Literal["any"] | None = "any",
) -> ModelVersion:
    """As `Registry.promote`, for a shipped model too: that is registered first, once, with its card, which pins it.

    Raises ModelError if there is no such model, its file is damaged, or the alias is not as `expected`.
    """
    registry = open_registry(settings)
    version = _registered(registry, builtin_model(name.removeprefix(BUILTIN))) if name.startswith(BUILTIN) else name
    return registry.promote(version, alias, by=by, reason=reason, expected=expected)


def _registered(registry: ModelRegistry, shipped: BuiltinModel) -> int:
    for version in registry.versions():
        if version.sha256 == shipped.sha256:
            return version.version
    if not isinstance(registry, Registry):
        raise ModelError(
            f"expected the shipped model {shipped.name!r} to be registered, found no version with its file",
            fix=f"copy it there with `copperline models push {BUILTIN}{shipped.name}`",
        )
    return registry.register(shipped.path, shipped.card, alias=None).version


def _is_path(name: str) -> bool:
    if name.lower().endswith(SUFFIX):
        return True
    if name.startswith(BUILTIN) or not (os.sep in name or Path(name).is_file()):
        return False
    raise ModelError(
        f"expected the path of an {SUFFIX} file",
        where=name,
        fix=f"name the {SUFFIX} file, a version, an alias or builtin:NAME",
    )


def _shipped(settings: Settings, name: str) -> BuiltinModel | None:
    """The shipped model that `name` means, or None if it is the registry's to say."""
    if name.startswith(BUILTIN):
        return builtin_model(name.removeprefix(BUILTIN))
    if name == CHAMPION and DEFAULT_BUILTIN in builtin_models() and not open_registry(settings).versions():
        return _stand_in(settings)
    return None


def _stand_in(settings: Settings) -> BuiltinModel:
    """The shipped model in place of a champion, unless this factory has other classes: it would be wrong in silence."""
    shipped = builtin_model(DEFAULT_BUILTIN)
    if shipped.card.classes != settings.taxonomy.names:
        raise ModelError(
            f"nothing is registered as {settings.model_name!r}, and the shipped model {DEFAULT_BUILTIN!r} finds "
            f"{', '.join(shipped.card.classes)}, not {', '.join(settings.taxonomy.names)} of the setting taxonomy_file",
            fix="train a model with `copperline train`, or name an .onnx file",
        )
    _log.warning(
        "note: no model is registered yet, so the shipped model %s%s is used; "
        "`copperline models promote %s%s` makes it the champion",
        BUILTIN,
        shipped.name,
        BUILTIN,
        shipped.name,
    )
    return shipped
