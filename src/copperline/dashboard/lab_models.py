"""The models that Vision Lab offers: aliases, registered versions, shipped models."""

from __future__ import annotations

from dataclasses import dataclass

from copperline.registry import (
    BUILTIN,
    CHALLENGER,
    CHAMPION,
    DEFAULT_BUILTIN,
    ModelVersion,
    builtin_models,
    open_registry,
)
from copperline.settings import Settings


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model to choose.

    Attributes:
        name: what `Detector.load` takes.
        label: for people.
        identity: changes when `name` means another file.
        stands_in: it is a shipped model in the champion's place.
    """

    name: str
    label: str
    identity: str
    stands_in: bool = False


def model_choices(settings: Settings) -> tuple[ModelChoice, ...]:
    """All models, the champion first. Without any registered model, `champion` is the shipped one.

    Raises:
        ModelError: the registry is there but cannot be read; `shipped_choices` still can be had.
    """
    versions = open_registry(settings).versions()
    aliased = [
        ModelChoice(alias, f"{alias} (version {version.version})", version.sha256)
        for alias in (CHAMPION, CHALLENGER)
        for version in versions
        if alias in version.aliases
    ]
    return (*aliased, *map(_numbered, versions), *shipped_choices(stand_in=not versions))


def shipped_choices(*, stand_in: bool = False) -> tuple[ModelChoice, ...]:
    """The models that come with the package; with `stand_in`, first the one that is used in the champion's place."""
    shipped = tuple(ModelChoice(f"{BUILTIN}{name}", f"{BUILTIN}{name}", "shipped") for name in builtin_models())
    if not stand_in:
        return shipped
    label = f"{CHAMPION} (none registered: {BUILTIN}{DEFAULT_BUILTIN})"
    return (ModelChoice(CHAMPION, label, "shipped", stands_in=True), *shipped)


def _numbered(version: ModelVersion) -> ModelChoice:
    return ModelChoice(str(version.version), f"version {version.version}", version.sha256)
