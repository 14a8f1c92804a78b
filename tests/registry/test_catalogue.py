from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from copperline.registry import ModelCard, Registry, builtin_model, catalogue, promote_model
from copperline.settings import Settings

ModelFile = Callable[[bytes], Path]


def test_the_shipped_model_stands_in(fresh_settings: Settings, tmp_path: Path) -> None:
    found = catalogue(fresh_settings)
    assert [entry.key for entry in found.entries] == ["builtin:deeppcb", "builtin:golden-only"]
    assert found.stands_in
    assert found.registered == ()
    champion = found.with_alias("champion")
    assert champion is not None
    assert (champion.key, champion.title) == ("builtin:deeppcb", "builtin:deeppcb")
    assert not fresh_settings.workspace.exists()

    classes = tmp_path / "classes.toml"
    classes.write_text('[[classes]]\nname = "scratch"\nseverity = "minor"\ncolour = "#112233"\n')
    other = catalogue(Settings(workspace=fresh_settings.workspace, taxonomy_file=classes))
    assert not other.stands_in
    assert other.with_alias("champion") is None


def test_registered_versions_come_first(settings: Settings, card: ModelCard, model_file: ModelFile) -> None:
    registry = Registry(settings)
    registry.register(model_file(b"one"), card, alias="champion")
    registry.register(model_file(b"two"), card)
    found = catalogue(settings)
    assert [(entry.key, entry.aliases) for entry in found.entries] == [
        ("2", ("challenger",)),
        ("1", ("champion",)),
        ("builtin:deeppcb", ()),
        ("builtin:golden-only", ()),
    ]
    assert not found.stands_in
    first = found.version(1)
    assert first is not None
    assert (first.card, first.fault, first.row_names) == (card, None, (("pcb-detector", "1"),))
    assert found.version(None) is None


def test_a_damaged_card_hides_no_other_version(settings: Settings, card: ModelCard, model_file: ModelFile) -> None:
    registry = Registry(settings)
    registry.register(model_file(b"one"), card)
    second = registry.register(model_file(b"two"), card)
    (second.folder / "card.json").write_text("{")
    newest, oldest, *_ = catalogue(settings).entries
    assert newest.card is None
    assert "damaged" in str(newest.fault)
    assert oldest.card == card


def test_a_shipped_model_that_was_registered_has_rows_under_both_names(settings: Settings) -> None:
    promote_model(settings, "builtin:deeppcb")
    champion = catalogue(settings).with_alias("champion")
    assert champion is not None
    sha256 = builtin_model("deeppcb").sha256
    assert champion.row_names == (("pcb-detector", "1"), ("deeppcb", sha256[:12]))
