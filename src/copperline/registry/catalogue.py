"""All models that can be chosen: the registered versions and, beside them, those that ship with Copperline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from copperline.errors import ModelError
from copperline.registry.builtin import BUILTIN, DEFAULT_BUILTIN, builtin_model, builtin_models
from copperline.registry.card import ModelCard
from copperline.registry.opening import ModelRegistry, open_registry
from copperline.registry.store import CHAMPION, ModelVersion
from copperline.settings import Settings

RowName = tuple[str, str]


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A model that can be chosen.

    Attributes:
        key: what every command knows it by: a version number as text, or `builtin:NAME`.
        name, version: as rows and reports name it.
        aliases: that point to it; `champion` also for the shipped model that stands in while nothing is registered.
        created_at: UTC; None where the card, which alone would know, cannot be read.
        run_id: the MLflow run that trained it, if it is known.
        sha256: of the file when it was registered or shipped; empty if not known.
        path: of the file, which has not been verified.
        card: None if it cannot be read; `fault` then says why.
        fault: why it cannot be used or shown; None: nothing is wrong.
        row_names: (name, version) of all rows that this very file wrote: a shipped model that was registered later
            has rows under both names.
    """

    key: str
    name: str
    version: str
    aliases: tuple[str, ...]
    created_at: datetime | None
    run_id: str | None
    sha256: str
    path: Path
    card: ModelCard | None
    fault: ModelError | None
    row_names: tuple[RowName, ...]

    @property
    def is_shipped(self) -> bool:
        return self.key.startswith(BUILTIN)

    @property
    def title(self) -> str:
        """For people: `version 3`, or the key of a shipped model."""
        return self.key if self.is_shipped else f"version {self.version}"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Attributes:
    entries: the registered versions, the newest first, then the shipped models.
    stands_in: nothing is registered, and a shipped model is the champion.
    """

    entries: tuple[CatalogueEntry, ...]
    stands_in: bool

    @property
    def registered(self) -> tuple[CatalogueEntry, ...]:
        return tuple(entry for entry in self.entries if not entry.is_shipped)

    def with_alias(self, alias: str) -> CatalogueEntry | None:
        return next((entry for entry in self.entries if alias in entry.aliases), None)

    def get(self, key: str) -> CatalogueEntry | None:
        return next((entry for entry in self.entries if entry.key == key), None)

    def version(self, number: int | None) -> CatalogueEntry | None:
        """The registered version of this number."""
        return None if number is None else self.get(str(number))


def catalogue(settings: Settings) -> Catalogue:
    """Reads every card. A damaged one is told in its entry and hides no other; raises ModelError if the store is."""
    registry = open_registry(settings)
    versions = registry.versions()
    shipped = [_shipped(settings, name, champion=not versions) for name in builtin_models()]
    of_file = {entry.sha256: (entry.name, entry.version) for entry in shipped if entry.fault is None}
    registered = tuple(_registered(registry, version, of_file) for version in versions)
    return Catalogue((*registered, *shipped), not versions and any(CHAMPION in entry.aliases for entry in shipped))


def _registered(registry: ModelRegistry, version: ModelVersion, shipped: dict[str, RowName]) -> CatalogueEntry:
    card, fault = None, None
    try:
        card = registry.read_card(version)
    except ModelError as error:
        fault = error
    own = (version.name, str(version.version))
    return CatalogueEntry(
        key=str(version.version),
        name=version.name,
        version=str(version.version),
        aliases=version.aliases,
        created_at=version.created_at,
        run_id=version.run_id,
        sha256=version.sha256,
        path=version.model_path,
        card=card,
        fault=fault,
        row_names=(own, shipped[version.sha256]) if version.sha256 in shipped else (own,),
    )


def _shipped(settings: Settings, name: str, *, champion: bool) -> CatalogueEntry:
    try:
        model = builtin_model(name)
    except ModelError as error:
        path = Path(error.where or name)
        return CatalogueEntry(f"{BUILTIN}{name}", name, "?", (), None, None, "", path, None, error, ())
    version = model.sha256[:12]
    # As `resolve_model` has it: not in a factory with other classes.
    stands_in = champion and name == DEFAULT_BUILTIN and model.card.classes == settings.taxonomy.names
    return CatalogueEntry(
        key=f"{BUILTIN}{name}",
        name=name,
        version=version,
        aliases=(CHAMPION,) if stands_in else (),
        created_at=model.card.created_at,
        run_id=None,
        sha256=model.sha256,
        path=model.path,
        card=model.card,
        fault=None,
        row_names=((name, version),),
    )
