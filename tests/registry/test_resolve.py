from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from copperline.errors import ModelError
from copperline.registry import ModelCard, Registry, builtin_models, resolve, resolve_model
from copperline.settings import Settings


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


def test_alias_and_version_come_from_the_registry(
    settings: Settings, card: ModelCard, model_file: Callable[[bytes], Path]
) -> None:
    Registry(settings).register(model_file(b"weights"), card)
    assert resolve_model(settings, "challenger") == resolve_model(settings, "1") == Registry(settings).resolve("1")


def test_builtin_models_are_those_in_the_package(
    fresh_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    monkeypatch.setattr(resolve, "_builtin_folder", lambda: shipped)
    with pytest.raises(ModelError, match=r"no model 'pcb'.*shipped are: none; .*`copperline train`"):
        resolve_model(fresh_settings, "builtin:pcb")

    (shipped / "pcb-n.onnx").write_bytes(b"n")
    (shipped / "golden.onnx").write_bytes(b"g")
    assert builtin_models() == ("golden", "pcb-n")
    assert resolve_model(fresh_settings, "builtin:pcb-n").path.read_bytes() == b"n"
    for wrong in ("pcb", "../shipped/pcb-n", ""):
        with pytest.raises(ModelError, match="shipped are: golden, pcb-n; use one of these"):
            resolve_model(fresh_settings, f"builtin:{wrong}")


def test_package_data_folder_is_the_package() -> None:
    folder = resolve._builtin_folder()
    assert folder.is_dir()
    assert folder.name == "models"
    assert builtin_models() == tuple(sorted(p.stem for p in folder.glob("*.onnx")))
