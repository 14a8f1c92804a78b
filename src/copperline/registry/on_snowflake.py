"""Model versions in the Snowflake Model Registry, in the vocabulary of `Registry`.

Version 3 is `V3` there. A version that another program registered, or whose registration was cut before its SHA-256
was noted, is no version of Copperline's: it is never used, and `others` names it.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from copperline.errors import DataError, ModelError
from copperline.files import atomic_folder
from copperline.mlflow_store import artifact_root
from copperline.registry.card import CARD_JSON, ModelCard
from copperline.registry.promotions import History, Promotion, recorded, require_as_decided
from copperline.registry.snowflake_promotions import StagedPromotionLog
from copperline.registry.snowflake_versions import ListedVersion, listed_version, registry_errors, version_metrics
from copperline.registry.store import CHALLENGER, CHAMPION, MODEL_FILE, ModelVersion, ResolvedModel, file_sha256
from copperline.settings import Settings, account
from copperline.snowflake.session import open_session
from copperline.snowflake_settings import quoted

if TYPE_CHECKING:
    import pandas as pd
    from snowflake.ml.model import Model
    from snowflake.ml.registry import Registry as AccountRegistry
    from snowflake.snowpark import Session

Packager = Callable[[Path], Mapping[str, Any]]
"""From a folder with `model.onnx` and `card.json` to the arguments of Snowflake's `log_model` that say what runs."""

# Aliases of Snowflake's own, and names of versions.
_ALIAS = re.compile(r"(?!(?:default|first|last|latest)$)(?!v?\d+$)[A-Za-z_]\w*", re.IGNORECASE | re.ASCII)
_OUTPUTS = ("call", "registration_score", "detections", "error")  # of PREDICT
_TRIES = 3  # to take a number that nobody else takes at the same time


class SnowflakeRegistry:
    """The versions of the model `settings.snowflake.model` in the account.

    Whatever the account refuses, and a network that fails, is a ModelError, as with `Registry`.

    Files that are used here are copied to `artifacts/snowflake` in the workspace, each once by its SHA-256.

    Args:
        session: of the account; default: the active one, else one made from the environment at the first question.
        packager: makes a file runnable there; without one nothing can be registered, see `push_model`.
    """

    def __init__(self, settings: Settings, session: Session | None = None, *, packager: Packager | None = None) -> None:
        self.settings = settings
        self.names = settings.snowflake
        self.name = self.names.model
        self.where = f"model {self.names.database}.{self.names.schema_name}.{self.names.model} in Snowflake"
        self._given, self._packager = session, packager

    def register(
        self, model_path: Path, card: ModelCard, *, run_id: str | None = None, alias: str | None = CHALLENGER
    ) -> ModelVersion:
        """Adds a version with the ONNX file and its card, and points `alias` to it.

        A file that is registered already, known by its SHA-256, is not registered again: that version is given.

        Args:
            run_id: the MLflow run that trained it; kept among the version's metrics.

        Raises ModelError if the file cannot be read, the alias cannot be one, or the account refuses.
        """
        if alias is not None:
            _check_alias(alias)
        if not model_path.is_file():
            raise ModelError("expected an ONNX file, found none", where=model_path, fix="export the model first")
        if self._packager is None:
            raise ModelError(
                "this registry was opened to be read", where=self.where, fix="use `copperline models push`"
            )
        sha256 = file_sha256(model_path)
        number = self._number_of(sha256)
        if number is None:
            with tempfile.TemporaryDirectory(prefix="copperline-") as folder:
                shutil.copyfile(model_path, Path(folder) / MODEL_FILE)
                card.write(Path(folder))
                number = self._logged(dict(self._packager(Path(folder))), card, sha256, run_id)
        version = self.get(str(number))
        if not _is_whole(version):
            _keep(version, model_path, card)  # it need not be fetched where it came from
        if alias is not None:
            self._point(alias, version, account(), "when it was registered", "any")
        return self.get(str(number))

    def versions(self) -> tuple[ModelVersion, ...]:
        """All versions, the newest first; empty if nothing has been registered. Nothing is fetched."""
        found = [self._version(row) for row in self._listed() if row.number is not None and row.sha256 is not None]
        return tuple(sorted(found, key=lambda version: version.version, reverse=True))

    def others(self) -> tuple[str, ...]:
        """Names of versions that Copperline did not register, or not to the end."""
        return tuple(sorted(row.name for row in self._listed() if row.number is None or row.sha256 is None))

    def get(self, name: str) -> ModelVersion:
        """The version with this number (`"3"`) or alias (`"champion"`); raises ModelError if there is none."""
        versions = self.versions()
        for version in versions:
            if name == str(version.version) or name in version.aliases:
                return version
        if not versions:
            raise ModelError(
                f"no version has been registered, so there is no {name!r}",
                where=self.where,
                fix="copy one there with `copperline models push VERSION`",
            )
        have = ", ".join(f"{v.version}{' (' + ', '.join(v.aliases) + ')' if v.aliases else ''}" for v in versions)
        raise ModelError(
            f"there is no version or alias {name!r}; there are {have}",
            where=self.where,
            fix="use one of these, or set the alias with `copperline models promote`",
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
        """As `Registry.promote`: the file is fetched anew and verified before the alias moves.

        The champion becomes the model's default version too, which SQL without a version uses. Of two who promote at
        the very same time the later one wins, unless `expected` is given and the earlier one was done by then.

        Raises ModelError if there is no such version, its file is damaged, the alias points elsewhere than `expected`,
        or the account refuses; an alias that could not be moved stays.
        """
        _check_alias(alias)
        chosen = self.get(str(version))
        self._fetch(chosen)
        self._point(alias, chosen, by or account(), reason, expected)
        return self.get(str(chosen.version))

    def history(self) -> History:
        """All promotions, from the stage; raises ModelError if they cannot be read."""
        with registry_errors(self.where):
            return self._log.read()

    def resolve(self, name: str) -> ResolvedModel:
        """The file of a version or alias, fetched if it is not here; raises ModelError if it is not what was
        registered."""
        version = self._here(self.get(name))
        return ResolvedModel(version.model_path, self.name, str(version.version))

    def read_card(self, version: ModelVersion) -> ModelCard:
        """The card of a version, fetched if it is not here."""
        return self._here(version).read_card()

    def run(self, name: str, images: Sequence[tuple[bytes, bytes | None]]) -> list[dict[str, Any]]:
        """What a version says of boards, computed in the account's warehouse.

        Args:
            name: a version's number or alias.
            images: bytes of the test image's file and of its reference's, or None.

        Returns:
            For each board, in this order: `call`, `registration_score`, `detections` (a list, or None where nothing is
            known) and `error` (None, or why the image could not be inspected).
        """
        import pandas as pd

        version = self.get(name)
        frame = pd.DataFrame(
            {
                "image": [base64.b64encode(image).decode() for image, _ in images],
                "reference": [None if golden is None else base64.b64encode(golden).decode() for _, golden in images],
            }
        )
        with registry_errors(self.where):
            found: pd.DataFrame = self._model().version(f"V{version.version}").run(frame, function_name="PREDICT")
        found.columns = [str(column).strip('"').lower() for column in found.columns]
        rows = found.astype(object).where(found.notna(), None)[list(_OUTPUTS)].to_dict("records")
        return [{**row, "detections": json.loads(row["detections"] or "null")} for row in rows]

    @cached_property
    def session(self) -> Session:
        with registry_errors(self.where):
            return self._given or open_session(self.names)

    @cached_property
    def _account(self) -> AccountRegistry:
        from snowflake.ml.registry import Registry as AccountRegistry

        with registry_errors(self.where):
            return AccountRegistry(
                self.session,
                database_name=quoted(self.names.database),
                schema_name=quoted(self.names.schema_name),
                options={"enable_monitoring": False},
            )

    def _append(self, promotion: Promotion) -> None:
        with registry_errors(self.where):
            self._log.append(promotion)

    @property
    def _log(self) -> StagedPromotionLog:
        return StagedPromotionLog(self.session, self.names)

    def _model(self) -> Model:
        return self._account.get_model(quoted(self.name))

    def _listed(self) -> list[ListedVersion]:
        opened = self._account
        with registry_errors(self.where):
            try:
                model = opened.get_model(quoted(self.name))
            except ValueError:
                return []  # nothing of that name that this role may see
            rows: list[dict[str, Any]] = model.show_versions().to_dict("records")
        return [listed_version(row) for row in rows]

    def _number_of(self, sha256: str) -> int | None:
        return next((version.version for version in self.versions() if version.sha256 == sha256), None)

    def _logged(self, package: dict[str, Any], card: ModelCard, sha256: str, run_id: str | None) -> int:
        for tried in range(1, _TRIES + 1):
            number = 1 + max((row.number or 0 for row in self._listed()), default=0)
            try:
                with registry_errors(self.where):
                    self._account.log_model(
                        model_name=quoted(self.name),
                        version_name=f"V{number}",
                        comment=f"{card.network}, {card.parameters:,} parameters, trained on {card.data_source}",
                        metrics=version_metrics(card, sha256, run_id),
                        **package,
                    )
                return number
            except ModelError:
                same = self._number_of(sha256)
                if same is not None:
                    return same  # another process registered this very file meanwhile
                taken = any(row.number == number and row.sha256 is not None for row in self._listed())
                if not taken or tried == _TRIES:
                    raise
        raise AssertionError("the last try returns or raises")

    def _version(self, row: ListedVersion) -> ModelVersion:
        assert row.number is not None
        assert row.sha256 is not None
        return ModelVersion(
            name=self.name,
            version=row.number,
            aliases=row.aliases,
            created_at=row.created_at,
            run_id=None,
            sha256=row.sha256,
            folder=artifact_root(self.settings) / "snowflake" / row.sha256,
        )

    def _here(self, version: ModelVersion) -> ModelVersion:
        if not _is_whole(version):
            self._fetch(version)
        return version

    def _fetch(self, version: ModelVersion) -> None:
        """Copies the version's files here; raises ModelError unless the model is what was registered."""
        with tempfile.TemporaryDirectory(prefix="copperline-") as exported:
            with registry_errors(self.where):
                self._model().version(f"V{version.version}").export(exported)
            model, card = (next(Path(exported).rglob(name), None) for name in (MODEL_FILE, CARD_JSON))
            found = "no file" if model is None else file_sha256(model)
            if model is None or card is None or found != version.sha256:
                raise ModelError(
                    f"version {version.version} is damaged: expected SHA-256 {version.sha256[:12]}..., "
                    f"found {found[:12]}",
                    where=self.where,
                    fix="promote another version, or register the model again under another name",
                )
            if not _is_whole(version):
                _keep(version, model, ModelCard.read(card))

    def _point(self, alias: str, to: ModelVersion, by: str, reason: str, expected: int | Literal["any"] | None) -> None:
        now = next((version.version for version in self.versions() if alias in version.aliases), None)
        require_as_decided(alias, expected, now, self.where)
        if now != to.version:
            promotion = Promotion(by=by, alias=alias, from_version=now, to_version=to.version, reason=reason)
            with recorded(promotion, self._append):
                self._move(alias, now, to.version)
        if alias == CHAMPION:
            with registry_errors(self.where):
                self._model().default = f"V{to.version}"

    def _move(self, alias: str, now: int | None, to: int) -> None:
        try:
            self._set(alias, to)
        except ModelError:
            if now is None:
                raise
            # Where an alias that is taken is refused: it is taken away first, and given back if that does not help.
            with registry_errors(self.where):
                self._model().version(f"V{now}").unset_alias(alias)
            try:
                self._set(alias, to)
            except ModelError:
                self._set(alias, now)
                raise

    def _set(self, alias: str, number: int) -> None:
        with registry_errors(self.where):
            self._model().version(f"V{number}").set_alias(alias)


def _check_alias(alias: str) -> None:
    if not _ALIAS.fullmatch(alias):
        raise ModelError(
            f"{alias!r} cannot be an alias in Snowflake", fix=f"use letters, digits and _, for example {CHAMPION!r}"
        )


def _is_whole(version: ModelVersion) -> bool:
    return version.model_path.is_file() and file_sha256(version.model_path) == version.sha256


def _keep(version: ModelVersion, model: Path, card: ModelCard) -> None:
    shutil.rmtree(version.folder, ignore_errors=True)  # named by what it should hold, and does not
    try:
        with atomic_folder(version.folder, marker=MODEL_FILE) as partial:
            shutil.copyfile(model, partial / MODEL_FILE)
            card.write(partial)
    except DataError:
        if not _is_whole(version):  # by another process, which was faster
            raise
