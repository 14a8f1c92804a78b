"""The registry of a Snowflake account: see `SnowflakeAccount` for what of it is real here."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from copperline.errors import ModelError, SettingsError
from copperline.registry import (
    CHALLENGER,
    CHAMPION,
    ModelCard,
    Registry,
    SnowflakeRegistry,
    catalogue,
    describe_model,
    file_sha256,
    open_registry,
    promote_model,
    resolve_model,
)
from copperline.settings import Settings
from copperline.stage import StagePath, list_files
from copperline.stage.snowflake_files import put_bytes

ModelFile = Callable[[bytes], Path]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(workspace=tmp_path / "workspace", registry_uri="snowflake")


@pytest.fixture
def registry(settings: Settings, snowflake_account: Any) -> SnowflakeRegistry:
    def packager(folder: Path) -> dict[str, Any]:
        files = {"model": str(folder / "model.onnx"), "card": str(folder / "card.json")}
        return {"model": SimpleNamespace(context=SimpleNamespace(artifacts=files))}

    return SnowflakeRegistry(settings, packager=packager)


def refused(words: str = "Insufficient privileges to operate on model") -> Exception:
    from snowflake.snowpark.exceptions import SnowparkSQLException

    return SnowparkSQLException(f"003001 (42501): SQL access control error:\n{words}", error_code="1304")


def test_a_registered_version_comes_back_as_it_was(
    registry: SnowflakeRegistry, snowflake_account: Any, settings: Settings, model_file: ModelFile, card: ModelCard
) -> None:
    path = model_file(b"weights")
    assert registry.versions() == ()
    registered = registry.register(path, card, run_id="abc")
    assert (registered.name, registered.version, registered.aliases) == ("YOLO_PCB_DETECTOR", 1, (CHALLENGER,))
    assert registered.sha256 == file_sha256(path)
    assert registered.created_at == datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
    assert registered.read_card() == card  # here it need not be fetched
    snowflake_account.failing["export"] = refused()
    assert registry.resolve("1").path == registered.model_path
    snowflake_account.failing.clear()
    shutil.rmtree(settings.workspace)
    resolved = registry.resolve("challenger")
    assert (resolved.name, resolved.version, resolved.path.read_bytes()) == ("YOLO_PCB_DETECTOR", "1", b"weights")
    assert registry.read_card(registered) == card
    (logged,) = snowflake_account.logged
    assert logged["model_name"] == '"YOLO_PCB_DETECTOR"'
    assert logged["version_name"] == "V1"
    assert logged["comment"] == "copperline-n, 361,442 parameters, trained on DeepPCB"
    assert logged["metrics"] == {
        "sha256": registered.sha256,
        "data_sha256": "ab" * 32,
        "run_id": "abc",
        "as recorded": {"ap33": 0.98912},
    }


def test_a_file_is_registered_once(
    registry: SnowflakeRegistry, snowflake_account: Any, model_file: ModelFile, card: ModelCard
) -> None:
    first = registry.register(model_file(b"one"), card, alias=CHAMPION)
    again = registry.register(model_file(b"one"), card, alias=CHALLENGER)
    assert (again.version, again.aliases) == (first.version, (CHALLENGER, CHAMPION))
    assert len(snowflake_account.logged) == 1
    assert registry.register(model_file(b"two"), card, alias=None).version == 2


def test_a_number_that_somebody_takes_meanwhile_is_left_to_them(
    registry: SnowflakeRegistry, snowflake_account: Any, model_file: ModelFile, card: ModelCard
) -> None:
    def faster() -> None:
        if "V1" not in snowflake_account.rows:
            snowflake_account.add("V1", {"sha256": "0" * 64})

    snowflake_account.meanwhile = faster
    assert registry.register(model_file(b"one"), card).version == 2


def test_the_same_file_that_somebody_registers_meanwhile_is_one_version(
    registry: SnowflakeRegistry, snowflake_account: Any, model_file: ModelFile, card: ModelCard
) -> None:
    path = model_file(b"one")
    snowflake_account.meanwhile = lambda: snowflake_account.add("V1", {"sha256": file_sha256(path)})
    assert registry.register(path, card, alias=None).version == 1
    assert snowflake_account.logged == []


def test_versions_that_copperline_did_not_register_to_the_end_are_named_and_never_used(
    registry: SnowflakeRegistry, snowflake_account: Any, model_file: ModelFile, card: ModelCard
) -> None:
    snowflake_account.add("V1", {"sha256": "0" * 64})
    snowflake_account.add("V7")  # its registration was cut before its SHA-256 was noted
    snowflake_account.add("FUNNY_CAT_1", {"map": 0.5})
    snowflake_account.add("V8", {"sha256": 5})
    assert [version.version for version in registry.versions()] == [1]
    assert registry.others() == ("FUNNY_CAT_1", "V7", "V8")
    with pytest.raises(ModelError, match="there is no version or alias '7'; there are 1"):
        registry.resolve("7")
    assert registry.register(model_file(b"new"), card).version == 9


def test_promotion_moves_the_alias_and_the_default_and_is_recorded_on_the_stage(
    registry: SnowflakeRegistry, snowflake_account: Any, model_file: ModelFile, card: ModelCard
) -> None:
    registry.register(model_file(b"one"), card, alias=CHAMPION)
    registry.register(model_file(b"two"), card)
    promoted = registry.promote("challenger", by="ann@plant.example", reason="finds more opens", expected=1)
    assert (promoted.version, promoted.aliases) == (2, (CHALLENGER, CHAMPION))
    assert snowflake_account.default == "V2"
    assert registry.get("1").aliases == ()
    registry.promote(2)  # nothing changes, nothing is recorded
    history = registry.history()
    assert [(p.alias, p.from_version, p.to_version) for p in history.promotions] == [
        ("champion", None, 1),
        ("challenger", None, 2),
        ("champion", 1, 2),
    ]
    assert (history.promotions[-1].by, history.promotions[-1].reason) == ("ann@plant.example", "finds more opens")
    assert history.before("champion", 2) == 1
    files = list_files("@PCB_CV.PUBLIC.MODEL_STAGE/models/YOLO_PCB_DETECTOR/promotions", frozenset({".json"}))
    assert len(files) == 3


def test_an_alias_that_somebody_moved_is_not_moved_again(
    registry: SnowflakeRegistry, model_file: ModelFile, card: ModelCard
) -> None:
    for content in (b"one", b"two", b"three"):
        registry.register(model_file(content), card, alias=None)
    registry.promote(2)
    with pytest.raises(ModelError, match=r"expected 'champion' to be version 1.*found version 2"):
        registry.promote(3, expected=1)
    with pytest.raises(ModelError, match="expected 'champion' to be no version"):
        registry.promote(3, expected=None)
    assert registry.get("champion").version == 2


def test_where_a_taken_alias_is_refused_it_is_taken_away_first(
    registry: SnowflakeRegistry, snowflake_account: Any, model_file: ModelFile, card: ModelCard
) -> None:
    snowflake_account.moves_taken_aliases = False
    registry.register(model_file(b"one"), card, alias=CHAMPION)
    registry.register(model_file(b"two"), card)
    assert registry.promote(2).aliases == (CHALLENGER, CHAMPION)


def test_an_alias_that_cannot_be_moved_stays_and_the_history_says_so(
    registry: SnowflakeRegistry, snowflake_account: Any, model_file: ModelFile, card: ModelCard
) -> None:
    registry.register(model_file(b"one"), card, alias=CHAMPION)
    registry.register(model_file(b"two"), card)
    snowflake_account.failing["set_alias V2"] = refused()
    with pytest.raises(ModelError, match="Insufficient privileges") as failed:
        registry.promote(2)
    assert "\n" not in str(failed.value)
    assert registry.get("champion").version == 1
    assert snowflake_account.default == "V1"
    (entry,) = registry.history().failed
    assert "Insufficient privileges" in entry.failed
    assert [p.to_version for p in registry.history().promotions] == [1, 2]  # champion, then challenger


def test_a_model_that_is_damaged_in_the_account_is_not_promoted_or_used(
    registry: SnowflakeRegistry, snowflake_account: Any, settings: Settings, model_file: ModelFile, card: ModelCard
) -> None:
    registry.register(model_file(b"one"), card, alias=None)
    shutil.rmtree(settings.workspace)  # as on another machine
    (file,) = snowflake_account.folder.rglob("model.onnx")
    file.write_bytes(b"other")
    for act in (lambda: registry.promote(1), lambda: registry.resolve("1")):
        with pytest.raises(ModelError, match=r"version 1 is damaged: expected SHA-256 7692c3ad3540\.\.\., found"):
            act()
    file.unlink()
    with pytest.raises(ModelError, match="found no file"):
        registry.resolve("1")
    assert registry.history().promotions == ()
    assert not (settings.workspace / "artifacts").exists()


def test_a_copy_here_that_is_damaged_is_fetched_again_and_a_good_one_is_not(
    registry: SnowflakeRegistry, snowflake_account: Any, model_file: ModelFile, card: ModelCard
) -> None:
    registry.register(model_file(b"one"), card)
    path = registry.resolve("1").path
    path.write_bytes(b"cut")
    assert registry.resolve("1").path.read_bytes() == b"one"
    snowflake_account.failing["export"] = refused("the network is gone")
    assert registry.resolve("1").path.read_bytes() == b"one"


def test_what_an_account_refuses_is_one_line_of_a_registry(
    registry: SnowflakeRegistry, snowflake_account: Any, model_file: ModelFile, card: ModelCard
) -> None:
    registry.register(model_file(b"one"), card)
    snowflake_account.failing["log_model"] = refused("Insufficient privileges to operate on schema 'PUBLIC'")
    with pytest.raises(ModelError, match=r"^model PCB_CV\.PUBLIC\.YOLO_PCB_DETECTOR in Snowflake: .*schema 'PUBLIC'"):
        registry.register(model_file(b"two"), card)
    assert len(registry.versions()) == 1
    snowflake_account.failing["get_model"] = refused("the warehouse is suspended")
    with pytest.raises(ModelError, match="the warehouse is suspended") as failed:
        registry.versions()
    assert "\n" not in str(failed.value)


def test_a_database_that_does_not_exist_is_said(registry: SnowflakeRegistry, snowflake_account: Any) -> None:
    snowflake_account.failing["open"] = ValueError("Database PCB_CV does not exist.")
    with pytest.raises(ModelError, match="Snowflake refuses: Database PCB_CV does not exist;"):
        registry.versions()


@pytest.mark.parametrize("alias", ["", "latest", "default", "FIRST", "v3", "3", "on-line", "a b", "x; DROP", "é"])
def test_what_cannot_be_an_alias_is_refused(
    registry: SnowflakeRegistry, snowflake_account: Any, model_file: ModelFile, card: ModelCard, alias: str
) -> None:
    with pytest.raises(ModelError, match="cannot be an alias in Snowflake"):
        registry.register(model_file(b"one"), card, alias=alias)
    assert snowflake_account.rows == {}
    registry.register(model_file(b"one"), card, alias="line_4")
    with pytest.raises(ModelError, match="cannot be an alias in Snowflake"):
        registry.promote("line_4", alias)


def test_without_the_file_or_the_means_nothing_is_registered(
    registry: SnowflakeRegistry, settings: Settings, tmp_path: Path, model_file: ModelFile, card: ModelCard
) -> None:
    with pytest.raises(ModelError, match="expected an ONNX file, found none"):
        registry.register(tmp_path / "none.onnx", card)
    with pytest.raises(ModelError, match="use `copperline models push`"):
        SnowflakeRegistry(settings).register(model_file(b"one"), card)


def test_a_damaged_line_of_the_history_is_counted(
    registry: SnowflakeRegistry, snowpark: Any, model_file: ModelFile, card: ModelCard
) -> None:
    registry.register(model_file(b"one"), card)
    place = StagePath("PCB_CV", "PUBLIC", "MODEL_STAGE", "models/YOLO_PCB_DETECTOR/promotions/0-damaged.json")
    put_bytes(snowpark, place, b"{")
    history = registry.history()
    assert history.damaged == (1,)
    assert len(history.promotions) == 1


def test_boards_are_inspected_in_the_account_in_their_order(
    registry: SnowflakeRegistry, model_file: ModelFile, card: ModelCard
) -> None:
    registry.register(model_file(b"one"), card)
    found = registry.run("challenger", [(b"\x89PNG\0", None), (b"", b"golden")])
    assert found == [
        {"call": "FAIL", "registration_score": 0.9, "detections": [{"class": "open"}], "error": None},
        {"call": None, "registration_score": None, "detections": None, "error": "image: damaged"},
    ]


def test_every_way_to_a_model_goes_to_the_account_where_the_settings_say_so(
    registry: SnowflakeRegistry, settings: Settings, model_file: ModelFile, card: ModelCard
) -> None:
    assert isinstance(open_registry(settings), SnowflakeRegistry)
    assert isinstance(open_registry(settings.model_copy(update={"registry_uri": None})), Registry)
    assert settings.registry.startswith("sqlite:///")  # of training runs
    registry.register(model_file(b"one"), card, alias=CHAMPION)
    assert resolve_model(settings, "champion").path.read_bytes() == b"one"
    assert describe_model(settings, "1").card == card
    found = catalogue(settings)
    assert [(entry.key, entry.aliases, entry.card) for entry in found.registered] == [("1", ("champion",), card)]
    assert not (settings.workspace / "registry.db").exists()
    with pytest.raises(ModelError, match="copperline models push builtin:deeppcb"):
        promote_model(settings, "builtin:deeppcb")
    with pytest.raises(ModelError, match="there is no version or alias 'challenger'; there are 1 \\(champion\\)"):
        resolve_model(settings, "challenger")


def test_while_nothing_is_registered_the_shipped_model_stands_in(
    settings: Settings, snowflake_account: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert resolve_model(settings, "champion").name == "deeppcb"
    assert "no model is registered yet" in caplog.text


def test_without_credentials_it_says_which_are_missing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SNOWFLAKE_ACCOUNT", "SNOWFLAKE_DEFAULT_CONNECTION_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("copperline.snowflake.session.active_session", lambda: None)
    with pytest.raises(SettingsError, match="expected credentials for Snowflake, found none"):
        open_registry(settings).versions()
