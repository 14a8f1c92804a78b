"""The layers of pyproject.toml hold, and importing a door does not drag heavy libraries in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("cv2", "matplotlib", "mlflow", "onnxruntime", "sqlalchemy", "torch")


def _loaded_after(statement: str) -> set[str]:
    """Names of all modules that a fresh interpreter has after `statement`."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_linter_contracts(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from importlinter.cli import lint_imports

    monkeypatch.chdir(ROOT)
    # It would switch off all loggers of this process, for the tests that come after.
    monkeypatch.setattr("logging.config.dictConfig", lambda config: None)
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert status == 0, capfd.readouterr().out


def test_inspection_runs_without_torch() -> None:
    loaded = _loaded_after("import copperline.inspection, copperline.runtime, copperline.registry")
    assert "copperline.inspection" in loaded
    assert "torch" not in loaded


def test_registry_imports_mlflow_only_when_it_is_used() -> None:
    loaded = _loaded_after("import copperline.registry")
    assert "copperline.mlflow_store" in loaded
    assert loaded.isdisjoint({"mlflow", "sqlalchemy"})


def test_command_line_starts_light() -> None:
    loaded = _loaded_after("import copperline.cli")
    assert "copperline.cli" in loaded
    assert sorted(loaded & set(HEAVY)) == []
