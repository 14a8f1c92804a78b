"""Model versions in MLflow: registered once, never changed, found by number or alias."""

from __future__ import annotations

import hashlib
import re
import shutil
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from copperline.errors import ModelError, SettingsError
from copperline.files import atomic_folder
from copperline.mlflow_store import artifact_root, client, display_uri, store_errors, store_exists
from copperline.registry.card import ModelCard
from copperline.registry.promotions import History, Promotion, PromotionLog, recorded, require_as_decided
from copperline.settings import Settings, account

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion
    from mlflow.tracking import MlflowClient

CHAMPION = "champion"
CHALLENGER = "challenger"
MODEL_FILE = "model.onnx"
# It is a folder's name too, and is quoted in MLflow's queries.
_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
# MLflow keeps these words for itself, and a number would be taken for a version.
_ALIAS = re.compile(r"(?!latest$)(?!v?\d+$)[\w-]+", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of the registered model.

    Attributes:
        name: of the registered model.
        version: counts from 1; never used twice.
        aliases: the aliases that point to it now.
        created_at: UTC.
        run_id: the MLflow run that trained it, if any.
        sha256: of the model file when it was registered.
        folder: has `model.onnx`, `card.json` and `card.md`.
    """

    name: str
    version: int
    aliases: tuple[str, ...]
    created_at: datetime
    run_id: str | None
    sha256: str
    folder: Path

    @property
    def model_path(self) -> Path:
        return self.folder / MODEL_FILE

    def read_card(self) -> ModelCard:
        """Raises ModelError if the card is absent or damaged."""
        return ModelCard.read(self.folder)


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model file that is there, with the words that every row and report names it by."""

    path: Path
    name: str
    version: str


class Registry:
    """The versions of the model `settings.model_name`.

    The list of versions is in the MLflow store `settings.registry`; their files are below `artifacts/models` in the
    workspace, found by a path relative to it, so a workspace can be moved or mounted elsewhere. Machines that share
    a store on a database server share the workspace folder too.
    """

    def __init__(self, settings: Settings) -> None:
        if not _NAME.fullmatch(settings.model_name):
            raise SettingsError(
                f"setting 'model_name': {settings.model_name!r} cannot be the name of a model",
                fix="use letters, digits, '.', - and _, for example 'pcb-detector'",
            )
        self.settings = settings
        self.name = settings.model_name

    def register(
        self, model_path: Path, card: ModelCard, *, run_id: str | None = None, alias: str | None = CHALLENGER
    ) -> ModelVersion:
        """Adds a version with a copy of the ONNX file and its card, and points `alias` to it.

        The version becomes visible only when its files are complete. Whether the model may be registered (parity
        with the trained network, its metrics) is the caller's decision; the card says on what grounds.

        Raises ModelError if the file cannot be read, or the store or the workspace cannot be written.
        """
        if alias is not None:
            _check_alias(alias)
        if not model_path.is_file():
            raise ModelError("expected an ONNX file, found none", where=model_path, fix="export the model first")
        store = client(self.settings)
        relative = f"models/{self.name}/{uuid.uuid4().hex}"
        folder = artifact_root(self.settings) / relative
        with store_errors(self.settings):
            sha256 = _publish(model_path, card, folder)
            try:
                self._create_registered_model(store)
                created = store.create_model_version(
                    self.name,
                    source=folder.as_uri(),
                    run_id=run_id,
                    tags={"sha256": sha256, "folder": relative, "network": card.network},
                    description=f"{card.network}, {card.parameters:,} parameters, trained on {card.data_source}",
                )
            except BaseException:
                shutil.rmtree(folder)
                raise
        if alias is not None:
            self._point(alias, self.get(str(created.version)), account(), "when it was registered", "any")
        return self.get(str(created.version))

    def versions(self) -> tuple[ModelVersion, ...]:
        """All versions, the newest first; empty if nothing has been registered."""
        if not store_exists(self.settings):
            return ()
        store = client(self.settings)
        with store_errors(self.settings):
            aliases = self._aliases(store)
            found: list[MlflowVersion] = []
            token = None
            while True:
                page = store.search_model_versions(f"name = '{self.name}'", page_token=token)
                found += page
                token = page.token
                if not token:
                    break
        versions = [self._version(v, aliases) for v in found]
        return tuple(sorted(versions, key=lambda v: v.version, reverse=True))

    def get(self, name: str) -> ModelVersion:
        """The version with this number (`"3"`) or alias (`"champion"`); raises ModelError if there is none."""
        versions = self.versions()
        for version in versions:
            if name == str(version.version) or name in version.aliases:
                return version
        if not versions:
            raise ModelError(
                f"no version of {self.name!r} has been registered, so there is no {name!r}",
                where=display_uri(self.settings),
                fix="train one with `copperline train`, or name an .onnx file",
            )
        have = ", ".join(f"{v.version}{' (' + ', '.join(v.aliases) + ')' if v.aliases else ''}" for v in versions)
        raise ModelError(
            f"{self.name!r} has no version or alias {name!r}; it has {have}",
            where=display_uri(self.settings),
            fix="use one of these, set the alias with `copperline models promote`, or train with `copperline train`",
        )

    def promote(
        self,
        version: int | str,
        alias: str = CHAMPION,
        *,
        by: str | None = None,
        reason: str = "",
        expected: int | Literal["any"] | None = "any",
    ) -> ModelVersion:
        """Points `alias` to a version, given by its number or another alias, and records who did it and why.

        The model file is verified first: a damaged one never becomes champion. Nothing is recorded if the alias
        points there already.

        Args:
            by: who is recorded; default: the account that this process runs under.
            reason: in their words.
            expected: the version that the alias has to point to now (None: to none), as it was when somebody decided.

        Raises:
            ModelError: there is no such version, its file is damaged, the alias points elsewhere than `expected`
                because somebody was faster, or the store or the history cannot be written.
        """
        _check_alias(alias)
        chosen = self.get(str(version))
        _verify(chosen)
        self._point(alias, chosen, by or account(), reason, expected)
        return self.get(str(chosen.version))

    def history(self) -> History:
        """All promotions; raises ModelError if they cannot be read."""
        return self._log.read()

    @property
    def _log(self) -> PromotionLog:
        return PromotionLog(artifact_root(self.settings) / "models" / self.name)

    def _point(self, alias: str, to: ModelVersion, by: str, reason: str, expected: int | Literal["any"] | None) -> None:
        """Under one lock, so that of two who promote at once the second sees what the first did."""
        store = client(self.settings)
        with self._log.locked():
            with store_errors(self.settings):
                now = next((number for number, names in self._aliases(store).items() if alias in names), None)
            require_as_decided(alias, expected, now, display_uri(self.settings))
            if now == to.version:
                return
            promotion = Promotion(by=by, alias=alias, from_version=now, to_version=to.version, reason=reason)
            with recorded(promotion, self._log.append), store_errors(self.settings):
                store.set_registered_model_alias(self.name, alias, str(to.version))

    def resolve(self, name: str) -> ResolvedModel:
        """The file of a version or alias; raises ModelError if it is missing or is not what was registered."""
        version = self.get(name)
        _verify(version)
        return ResolvedModel(version.model_path, self.name, str(version.version))

    def read_card(self, version: ModelVersion) -> ModelCard:
        """The card of a version; raises ModelError if it is absent or damaged."""
        return version.read_card()

    def _create_registered_model(self, store: MlflowClient) -> None:
        from mlflow.exceptions import MlflowException

        try:
            store.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _aliases(self, store: MlflowClient) -> dict[int, list[str]]:
        """Version -> its aliases, sorted. MLflow's search for versions leaves them out."""
        found: dict[int, list[str]] = {}
        for model in store.search_registered_models(f"name = '{self.name}'"):
            for alias, version in sorted(model.aliases.items()):
                found.setdefault(int(version), []).append(alias)
        return found

    def _version(self, version: MlflowVersion, aliases: dict[int, list[str]]) -> ModelVersion:
        try:
            sha256, relative = version.tags["sha256"], version.tags["folder"]
        except KeyError as error:
            raise ModelError(
                f"version {version.version} of {self.name!r} has no tag {error}: Copperline did not register it",
                where=display_uri(self.settings),
                fix="delete the version in MLflow, or set another model_name",
            ) from error
        return ModelVersion(
            name=self.name,
            version=int(version.version),
            aliases=tuple(aliases.get(int(version.version), ())),
            created_at=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
            run_id=version.run_id or None,
            sha256=sha256,
            folder=artifact_root(self.settings) / relative,
        )


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of the model file `path`; raises ModelError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            f"the model file cannot be read ({error.strerror})", where=path, fix="check the path, or restore the file"
        ) from error


def _publish(model_path: Path, card: ModelCard, folder: Path) -> str:
    """Makes `folder` with the model and its card appear at once; gives the SHA-256 of the copy."""
    with atomic_folder(folder, marker=MODEL_FILE) as partial:
        shutil.copyfile(model_path, partial / MODEL_FILE)
        card.write(partial)
        return file_sha256(partial / MODEL_FILE)


def _verify(version: ModelVersion) -> None:
    found = file_sha256(version.model_path)
    if found != version.sha256:
        raise ModelError(
            f"version {version.version} of {version.name!r} is damaged: expected SHA-256 {version.sha256[:12]}..., "
            f"found {found[:12]}...",
            where=version.model_path,
            fix="restore the file from a backup, or promote another version",
        )


def _check_alias(alias: str) -> None:
    if not _ALIAS.fullmatch(alias):
        raise ModelError(f"{alias!r} cannot be an alias", fix=f"use letters, digits, - and _, for example {CHAMPION!r}")
