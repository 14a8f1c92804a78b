from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from copperline import mlflow_store
from copperline.errors import ModelError, SettingsError
from copperline.registry import ModelCard, Registry
from copperline.settings import Settings

ModelFile = Callable[[bytes], Path]


def test_registered_version_has_the_file_its_card_and_the_alias(
    settings: Settings, card: ModelCard, model_file: ModelFile
) -> None:
    version = Registry(settings).register(model_file(b"weights 1"), card)

    assert (version.name, version.version, version.aliases) == ("pcb-detector", 1, ("challenger",))
    assert version.run_id is None
    assert version.sha256 == hashlib.sha256(b"weights 1").hexdigest()
    assert version.model_path.read_bytes() == b"weights 1"
    assert version.read_card() == card
    assert version.folder.is_relative_to(settings.workspace / "artifacts" / "models" / "pcb-detector")
    assert sorted(p.name for p in version.folder.iterdir()) == ["card.json", "card.md", "model.onnx"]
    assert abs(datetime.now(UTC) - version.created_at) < timedelta(minutes=5)


def test_alias_moves_and_versions_stay(settings: Settings, card: ModelCard, model_file: ModelFile) -> None:
    registry = Registry(settings)
    for content in (b"one", b"two", b"three"):
        registry.register(model_file(content), card)
    registry.register(model_file(b"four"), card, alias=None)
    registry.promote(1)
    registry.promote("challenger", alias="line-4")

    assert [(v.version, v.aliases) for v in registry.versions()] == [
        (4, ()),
        (3, ("challenger", "line-4")),
        (2, ()),
        (1, ("champion",)),
    ]
    assert registry.get("champion").model_path.read_bytes() == b"one"
    assert registry.promote(2).aliases == ("champion",)
    resolved = registry.resolve("champion")
    assert (resolved.name, resolved.version, resolved.path.read_bytes()) == ("pcb-detector", "2", b"two")
    assert registry.resolve("1").path.read_bytes() == b"one"


def test_version_knows_its_run(settings: Settings, card: ModelCard, model_file: ModelFile) -> None:
    store = mlflow_store.client(settings)
    run = store.create_run(mlflow_store.experiment_id(store, settings, "train"))
    assert Registry(settings).register(model_file(b"x"), card, run_id=run.info.run_id).run_id == run.info.run_id


def test_names_do_not_share_versions(settings: Settings, card: ModelCard, model_file: ModelFile) -> None:
    other = settings.model_copy(update={"model_name": "flex-detector"})
    Registry(settings).register(model_file(b"a"), card)
    assert Registry(other).versions() == ()
    assert Registry(other).register(model_file(b"b"), card).version == 1
    assert Registry(settings).resolve("1").path.read_bytes() == b"a"


def test_moved_workspace_still_resolves(
    settings: Settings, card: ModelCard, model_file: ModelFile, tmp_path: Path
) -> None:
    Registry(settings).register(model_file(b"weights"), card)
    shutil.move(settings.workspace, tmp_path / "elsewhere")
    moved = Registry(Settings(workspace=tmp_path / "elsewhere")).resolve("challenger")
    assert moved.path.is_relative_to(tmp_path / "elsewhere")
    assert moved.path.read_bytes() == b"weights"


def test_nothing_registered(fresh_settings: Settings) -> None:
    assert Registry(fresh_settings).versions() == ()
    with pytest.raises(ModelError, match=r"no version of 'pcb-detector' has been registered.*`copperline train`"):
        Registry(fresh_settings).resolve("champion")
    assert not fresh_settings.workspace.exists()


def test_unknown_name_lists_what_there_is(settings: Settings, card: ModelCard, model_file: ModelFile) -> None:
    registry = Registry(settings)
    registry.register(model_file(b"1"), card)
    registry.register(model_file(b"2"), card)
    for name in ("champion", "7", "0"):
        with pytest.raises(ModelError, match=rf"no version or alias '{name}'; it has 2 \(challenger\), 1; use one"):
            registry.resolve(name)


def test_damaged_file_is_neither_resolved_nor_promoted(
    settings: Settings, card: ModelCard, model_file: ModelFile
) -> None:
    registry = Registry(settings)
    registry.register(model_file(b"good"), card, alias="champion")
    second = registry.register(model_file(b"good too"), card)
    second.model_path.write_bytes(b"bad")

    with pytest.raises(ModelError, match=r"version 2 of 'pcb-detector' is damaged: expected SHA-256 "):
        registry.resolve("challenger")
    with pytest.raises(ModelError, match="damaged"):
        registry.promote(2)
    assert registry.get("champion").version == 1

    second.model_path.unlink()
    with pytest.raises(ModelError, match=r"model\.onnx: the model file cannot be read"):
        registry.resolve("2")


def test_version_is_invisible_until_its_files_are_complete(
    settings: Settings, card: ModelCard, model_file: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[object, ...]] = []

    def interrupted(self: ModelCard, folder: Path) -> None:
        assert (folder / "model.onnx").exists()
        seen.append(Registry(settings).versions())
        raise KeyboardInterrupt

    monkeypatch.setattr(ModelCard, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Registry(settings).register(model_file(b"x"), card)
    assert seen == [()]
    assert Registry(settings).versions() == ()
    assert not [p for p in (settings.workspace / "artifacts").rglob("*") if p.is_file()]


def test_files_go_when_the_store_refuses_the_version(
    settings: Settings, card: ModelCard, model_file: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    def refuse(*args: object, **kwargs: object) -> None:
        raise MlflowException("attempt to write a readonly database\n[SQL: INSERT ...]")

    monkeypatch.setattr(MlflowClient, "create_model_version", refuse)
    with pytest.raises(ModelError) as caught:
        Registry(settings).register(model_file(b"x"), card)
    assert "(attempt to write a readonly database); check the setting registry_uri" in str(caught.value)
    assert not [p for p in (settings.workspace / "artifacts").rglob("*") if p.is_file()]


def test_missing_model_file(settings: Settings, card: ModelCard, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.onnx: expected an ONNX file, found none"):
        Registry(settings).register(tmp_path / "none.onnx", card)


@pytest.mark.parametrize("alias", ["3", "v3", "latest", "", "a b", "Latest"])
def test_alias_that_would_be_ambiguous(settings: Settings, card: ModelCard, model_file: ModelFile, alias: str) -> None:
    registry = Registry(settings)
    with pytest.raises(ModelError, match="cannot be an alias"):
        registry.register(model_file(b"x"), card, alias=alias)
    assert registry.versions() == ()


@pytest.mark.parametrize("name", ["", "a/b", "it's", "..", ".hidden"])
def test_model_name_must_be_a_plain_word(settings: Settings, name: str) -> None:
    with pytest.raises(SettingsError, match="'model_name'"):
        Registry(settings.model_copy(update={"model_name": name}))


def test_version_that_another_tool_registered(settings: Settings, tmp_path: Path) -> None:
    store = mlflow_store.client(settings)
    store.create_registered_model("pcb-detector")
    store.create_model_version("pcb-detector", source=tmp_path.as_uri())
    with pytest.raises(ModelError, match=r"version 1 of 'pcb-detector' has no tag 'sha256'"):
        Registry(settings).versions()
