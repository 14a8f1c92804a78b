from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from copperline.errors import ModelError
from copperline.registry import (
    ModelCard,
    Registry,
    builtin,
    builtin_folder,
    builtin_models,
    describe_model,
    promote_model,
    resolve_model,
)
from copperline.settings import Settings
from copperline.taxonomy import DEEPPCB


@dataclass(frozen=True)
class Shipped:
    """A folder that stands for the package's; `add` ships a stand-in for a model in it, with its card."""

    folder: Path
    card: ModelCard

    def add(self, name: str, content: bytes = b"weights") -> str:
        path = self.folder / f"{name}.onnx"
        path.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        facts = {"name": name, "sha256": sha256, "classes": DEEPPCB.names}
        path.with_suffix(".card.json").write_text(self.card.model_copy(update=facts).model_dump_json())
        return sha256


@pytest.fixture
def shipped(tmp_path: Path, card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> Shipped:
    """Nothing is shipped, whatever is in the package."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    monkeypatch.setattr(builtin, "builtin_folder", lambda: folder)
    return Shipped(folder, card)


def test_path_needs_no_registry(fresh_settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "line-4.onnx"
    path.write_bytes(b"weights")
    model = resolve_model(fresh_settings, str(path))
    assert model.path == path
    assert (model.name, model.version) == ("line-4", hashlib.sha256(b"weights").hexdigest()[:12])
    assert not fresh_settings.workspace.exists()


def test_missing_path(fresh_settings: Settings) -> None:
    with pytest.raises(ModelError, match=r"no/such\.onnx: the model file cannot be read \(No such file"):
        resolve_model(fresh_settings, "no/such.onnx")


def test_other_paths_are_not_taken_for_versions(fresh_settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "model.pt").touch()
    for path in (tmp_path / "model.pt", tmp_path, "model.pt"):
        with pytest.raises(ModelError, match=r"expected the path of an \.onnx file"):
            resolve_model(fresh_settings, str(path))


def test_alias_and_version_come_from_the_registry(
    settings: Settings, card: ModelCard, model_file: Callable[[bytes], Path]
) -> None:
    Registry(settings).register(model_file(b"weights"), card)
    assert resolve_model(settings, "challenger") == resolve_model(settings, "1") == Registry(settings).resolve("1")


def test_builtin_models_are_those_in_the_package(fresh_settings: Settings, shipped: Shipped) -> None:
    with pytest.raises(ModelError, match=r"no model 'pcb'.*shipped are: none; .*`copperline train`"):
        resolve_model(fresh_settings, "builtin:pcb")

    sha256 = shipped.add("pcb-n", b"n")
    shipped.add("golden", b"g")
    assert builtin_models() == ("golden", "pcb-n")
    model = resolve_model(fresh_settings, "builtin:pcb-n")
    assert (model.path.read_bytes(), model.name, model.version) == (b"n", "pcb-n", sha256[:12])
    for wrong in ("pcb", "../shipped/pcb-n", ""):
        with pytest.raises(ModelError, match="shipped are: golden, pcb-n; use one of these"):
            resolve_model(fresh_settings, f"builtin:{wrong}")


def test_package_data_folder_is_the_package() -> None:
    folder = builtin_folder()
    assert folder.is_dir()
    assert folder.name == "models"
    assert builtin_models() == tuple(sorted(p.stem for p in folder.glob("*.onnx")))


def test_champion_is_the_shipped_model_while_nothing_is_registered(
    fresh_settings: Settings, shipped: Shipped, caplog: pytest.LogCaptureFixture
) -> None:
    sha256 = shipped.add("deeppcb")
    model = resolve_model(fresh_settings, "champion")
    assert (model.name, model.version) == ("deeppcb", sha256[:12])
    (note,) = caplog.records
    assert note.levelno == logging.WARNING
    assert "no model is registered yet, so the shipped model builtin:deeppcb is used" in note.getMessage()
    assert not fresh_settings.workspace.exists()


def test_the_shipped_model_stands_in_for_nothing_else(fresh_settings: Settings, shipped: Shipped) -> None:
    shipped.add("deeppcb")
    for name in ("challenger", "1", "latest"):
        with pytest.raises(ModelError, match=f"so there is no '{name}'"):
            resolve_model(fresh_settings, name)


def test_a_registered_version_ends_that(
    settings: Settings,
    shipped: Shipped,
    card: ModelCard,
    model_file: Callable[[bytes], Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    shipped.add("deeppcb")
    Registry(settings).register(model_file(b"own"), card, alias="challenger")
    with pytest.raises(ModelError, match="has no version or alias 'champion'"):
        resolve_model(settings, "champion")
    Registry(settings).promote(1)
    assert resolve_model(settings, "champion").path.read_bytes() == b"own"
    assert caplog.records == []


def test_without_a_shipped_model_there_is_no_champion(fresh_settings: Settings, shipped: Shipped) -> None:
    shipped.add("golden-only")
    with pytest.raises(ModelError, match=r"has been registered.*`copperline train`"):
        resolve_model(fresh_settings, "champion")


def test_a_factory_with_other_classes_is_not_given_the_shipped_model(
    fresh_settings: Settings, shipped: Shipped, tmp_path: Path
) -> None:
    shipped.add("deeppcb")
    taxonomy = tmp_path / "classes.toml"
    taxonomy.write_text('[[classes]]\nname = "scratch"\nseverity = "minor"\ncolour = "#112233"\n')
    settings = Settings(workspace=fresh_settings.workspace, taxonomy_file=taxonomy)
    with pytest.raises(ModelError, match=r"'deeppcb' finds open, short.*, not scratch"):
        resolve_model(settings, "champion")
    assert resolve_model(settings, "builtin:deeppcb").name == "deeppcb"


def test_cards_are_found_by_the_same_names(
    settings: Settings, shipped: Shipped, card: ModelCard, model_file: Callable[[bytes], Path]
) -> None:
    sha256 = shipped.add("deeppcb")
    assert describe_model(settings, "champion") == describe_model(settings, "builtin:deeppcb")
    assert describe_model(settings, "builtin:deeppcb").sha256 == sha256
    Registry(settings).register(model_file(b"own"), card, alias="champion")
    found = describe_model(settings, "champion")
    assert (found.name, found.version, found.aliases, found.card) == ("pcb-detector", "1", ("champion",), card)
    with pytest.raises(ModelError, match="found a path"):
        describe_model(settings, "some.onnx")


def test_promoting_a_shipped_model_registers_it_once(settings: Settings, shipped: Shipped) -> None:
    sha256 = shipped.add("deeppcb")
    champion = promote_model(settings, "builtin:deeppcb")
    assert (champion.version, champion.aliases, champion.sha256) == (1, ("champion",), sha256)
    assert champion.read_card() == describe_model(settings, "builtin:deeppcb").card
    again = promote_model(settings, "builtin:deeppcb", "challenger")
    assert (again.version, again.aliases) == (1, ("challenger", "champion"))
    # Another file under that name, as after an update, does not touch the pinned one.
    shipped.add("deeppcb", b"newer")
    assert resolve_model(settings, "champion").path.read_bytes() == b"weights"
    assert promote_model(settings, "builtin:deeppcb").version == 2
