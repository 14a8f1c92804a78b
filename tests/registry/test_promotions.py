from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from copperline.errors import ModelError
from copperline.registry import ModelCard, Registry, builtin_model, promote_model
from copperline.registry.promotions import HISTORY_FILE
from copperline.settings import Settings

ModelFile = Callable[[bytes], Path]


@pytest.fixture
def registry(settings: Settings, card: ModelCard, model_file: ModelFile) -> Registry:
    """Three versions; the first is champion, the last challenger."""
    registry = Registry(settings)
    registry.register(model_file(b"one"), card, alias="champion")
    registry.register(model_file(b"two"), card, alias=None)
    registry.register(model_file(b"three"), card)
    return registry


def file_of(registry: Registry) -> Path:
    return registry.settings.workspace / "artifacts" / "models" / registry.name / HISTORY_FILE


def champion(registry: Registry) -> int:
    return registry.get("champion").version


def test_every_promotion_is_recorded(registry: Registry) -> None:
    registry.promote("challenger", by="ann@plant.example", reason="fewer false calls\non line 2")
    *_, first, last = registry.history().promotions
    assert (first.alias, first.from_version, first.to_version) == ("challenger", None, 3)
    assert (last.by, last.alias, last.from_version, last.to_version) == ("ann@plant.example", "champion", 1, 3)
    assert last.reason == "fewer false calls\non line 2"
    assert abs(datetime.now(UTC) - last.at) < timedelta(minutes=5)
    # One object a line, whatever the reason holds, so that any tool can read it.
    lines = file_of(registry).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["to_version"] for line in lines] == [1, 3, 3]


def test_lines_are_only_added(registry: Registry) -> None:
    before = file_of(registry).read_bytes()
    registry.promote(2)
    assert file_of(registry).read_bytes().startswith(before)


def test_nothing_is_recorded_where_nothing_changes(registry: Registry) -> None:
    before = registry.history()
    registry.promote(1)
    assert registry.history() == before


def test_the_version_before_is_known_for_rolling_back(registry: Registry) -> None:
    assert registry.history().before("champion", 1) is None
    registry.promote(3)
    registry.promote(2, alias="challenger")
    assert registry.history().before("champion", 3) == 1
    # After a change that was made past the history, what was champion before is not known.
    assert registry.history().before("champion", 2) is None


def test_a_change_by_somebody_else_is_noticed(registry: Registry) -> None:
    registry.promote(2, expected=1)
    before = registry.history()
    with pytest.raises(ModelError, match=r"to be version 1, as when this was decided, found version 2.*not moved"):
        registry.promote(3, expected=1)
    with pytest.raises(ModelError, match="to be no version"):
        registry.promote(3, expected=None)
    assert champion(registry) == 2
    assert registry.history() == before


def test_of_two_at_once_one_is_refused(registry: Registry) -> None:
    barrier, failures = threading.Barrier(2), []

    def promote(version: int) -> None:
        barrier.wait()
        try:
            registry.promote(version, expected=1)
        except ModelError as error:
            failures.append(str(error))

    threads = [threading.Thread(target=promote, args=(version,)) for version in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (failure,) = failures
    assert "somebody changed it meanwhile" in failure
    last = registry.history().last("champion")
    assert last is not None
    assert last.to_version == champion(registry)


def test_a_damaged_model_is_not_promoted_and_not_recorded(registry: Registry) -> None:
    before = registry.history()
    registry.get("3").model_path.write_bytes(b"bad")
    with pytest.raises(ModelError, match="damaged"):
        registry.promote(3)
    assert registry.history() == before


def test_without_a_record_no_alias_moves(registry: Registry) -> None:
    file_of(registry).unlink()
    file_of(registry).mkdir()
    with pytest.raises(ModelError, match=rf"{HISTORY_FILE}: expected a history of promotions, found that it cannot be"):
        registry.promote(3)
    assert champion(registry) == 1
    with pytest.raises(ModelError, match="cannot be read"):
        registry.history()


def test_a_promotion_that_failed_is_told_as_such(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    def refuse(*args: object, **kwargs: object) -> None:
        raise MlflowException("database is locked")

    before = registry.history().promotions
    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", refuse)
    with pytest.raises(ModelError, match="database is locked"):
        registry.promote(3)
    history = registry.history()
    assert history.promotions == before
    (failed,) = history.failed
    assert failed.to_version == 3
    assert "database is locked" in failed.failed


def test_half_a_line_of_a_power_failure_costs_that_line_alone(registry: Registry) -> None:
    with file_of(registry).open("ab") as file:
        file.write(b'{"id": "a", "at": "2026-01-0')
    registry.promote(3, reason="after the failure")
    history = registry.history()
    assert history.damaged == (3,)
    assert history.promotions[-1].reason == "after the failure"
    assert history.before("champion", 3) == 1


def test_a_shipped_model_is_promoted_with_its_reason(settings: Settings) -> None:
    promoted = promote_model(settings, "builtin:deeppcb", by="ann", reason="a start", expected=None)
    (only,) = Registry(settings).history().promotions
    assert (only.by, only.reason, only.from_version, only.to_version) == ("ann", "a start", None, promoted.version)
    assert promoted.sha256 == builtin_model("deeppcb").sha256


def test_an_empty_history(fresh_settings: Settings) -> None:
    history = Registry(fresh_settings).history()
    assert (history.promotions, history.failed, history.damaged) == ((), (), ())
    assert not fresh_settings.workspace.exists()
