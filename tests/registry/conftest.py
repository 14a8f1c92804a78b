"""A registry in a temporary workspace. MLflow's tables take seconds to create, so they are created once and copied."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from copperline import mlflow_store
from copperline.model_info import OperatingPoint, Parity
from copperline.registry import ModelCard, SplitCard
from copperline.settings import Settings
from copperline.taxonomy import DEEPPCB


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("COPPERLINE_REGISTRY_URI", raising=False)
    monkeypatch.delenv("COPPERLINE_MODEL_NAME", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with MLflow's tables and nothing in them."""
    settings = Settings(workspace=tmp_path_factory.mktemp("store"))
    mlflow_store.client(settings)
    return settings.workspace / "registry.db"


@pytest.fixture
def fresh_settings(tmp_path: Path) -> Settings:
    """A workspace that does not exist yet."""
    return Settings(workspace=tmp_path / "workspace")


@pytest.fixture
def settings(fresh_settings: Settings, empty_store: Path) -> Settings:
    fresh_settings.workspace.mkdir()
    shutil.copyfile(empty_store, fresh_settings.workspace / "registry.db")
    return fresh_settings


@pytest.fixture
def model_file(tmp_path: Path) -> Callable[[bytes], Path]:
    """Writes a stand-in for an ONNX file: the registry does not look inside."""

    def write(content: bytes) -> Path:
        path = tmp_path / "exported.onnx"
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def card() -> ModelCard:
    return ModelCard(
        name="pcb-detector",
        network="copperline-n",
        parameters=361_442,
        created_at=datetime(2026, 3, 4, 5, 6, tzinfo=UTC),
        data_source="DeepPCB",
        data_hash="ab" * 32,
        splits={
            "train": SplitCard(boards=900, groups=("00041", "20085")),
            "val": SplitCard(boards=100, groups=("12000",)),
        },
        seed=7,
        training={"epochs": 60, "engine": "local"},
        metrics={
            "ap33": 0.98912,
            "false_call_boards": None,
            "per_class": {"open": {"ap50": 0.983, "ap50_95": 0.75}, "short": {"ap50": 0.968, "ap50_95": None}},
        },
        operating_point=OperatingPoint.uniform(DEEPPCB, 0.25, "recall >= 99.5 %"),
        limitations=("Trained on binarised images.", "Not for assembled boards."),
        parity=Parity(passed=True, images=4, max_difference=2.1e-5, tolerance=1e-3),
    )
