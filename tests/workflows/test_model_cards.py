from __future__ import annotations

from pathlib import Path

import pytest

from copperline.errors import ModelError
from copperline.registry import Registry, builtin_model, builtin_models
from copperline.settings import Settings
from copperline.workflows.model_cards import card_of_row


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace with one registered version: a shipped model under another name."""
    settings = Settings(workspace=tmp_path_factory.mktemp("cards") / "workspace", model_name="pcb-detector")
    shipped = builtin_model("deeppcb")
    Registry(settings).register(shipped.path, shipped.card.model_copy(update={"name": "pcb-detector", "seed": 77}))
    return settings


def test_a_registered_version_has_its_card(settings: Settings) -> None:
    card = card_of_row(settings, "pcb-detector", "1")
    assert card is not None
    assert (card.name, card.seed) == ("pcb-detector", 77)
    assert card_of_row(settings, "pcb-detector", "2") is None


@pytest.mark.parametrize("name", builtin_models())
def test_a_shipped_model_is_named_by_its_file(settings: Settings, name: str) -> None:
    shipped = builtin_model(name)
    assert card_of_row(settings, name, shipped.sha256[:12]) == shipped.card
    # The same name of another release has other weights, which this card does not describe.
    assert card_of_row(settings, name, "0" * 12) is None


def test_a_model_given_as_a_file_has_none(settings: Settings, tmp_path: Path) -> None:
    assert card_of_row(settings, "my-model", "1") is None
    assert card_of_row(Settings(workspace=tmp_path), "pcb-detector", "1") is None


def test_a_damaged_card_is_told_of(settings: Settings) -> None:
    (version,) = Registry(settings).versions()
    card = version.folder / "card.json"
    before = card.read_bytes()
    card.write_text("{")
    try:
        with pytest.raises(ModelError):
            card_of_row(settings, "pcb-detector", "1")
    finally:
        card.write_bytes(before)
