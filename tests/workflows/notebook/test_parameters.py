from __future__ import annotations

from pathlib import Path

import pytest

from copperline.errors import SettingsError
from copperline.workflows.notebook import Parameters

CELL = {"data": None, "epochs": 10, "boards": 240, "workspace": None, "seed": 0, "promote": False}


def test_the_cell_is_taken_as_it_is() -> None:
    parameters = Parameters.of(**CELL)
    assert (parameters.data, parameters.epochs, parameters.boards, parameters.promote) == (None, 10, 240, False)
    assert Parameters.of(**{**CELL, "data": "boards"}).data == Path("boards")


def test_the_environment_wins_over_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPPERLINE_NOTEBOOK_EPOCHS", "2")
    monkeypatch.setenv("COPPERLINE_NOTEBOOK_DATA", "/srv/boards")
    monkeypatch.setenv("COPPERLINE_NOTEBOOK_PROMOTE", "true")
    monkeypatch.setenv("COPPERLINE_NOTEBOOK_SEED", "")  # as a scheduler writes what it has not
    parameters = Parameters.of(**CELL)
    assert (parameters.epochs, parameters.data, parameters.promote) == (2, Path("/srv/boards"), True)
    assert parameters.seed == 0


@pytest.mark.parametrize(
    ("name", "value"), [("epochs", 0), ("epochs", "many"), ("boards", 7), ("seed", -1), ("promote", "perhaps")]
)
def test_a_wrong_value_is_named(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=f"parameter {name.upper()}: .*COPPERLINE_NOTEBOOK_{name.upper()}"):
        Parameters.of(**{**CELL, name: value})


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPPERLINE_NOTEBOOK_BOARDS", "all")
    with pytest.raises(SettingsError, match=r"parameter BOARDS: .*found 'all'"):
        Parameters.of(**CELL)


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(SettingsError, match="parameter EPOCH:"):
        Parameters.of(**CELL, epoch=3)
