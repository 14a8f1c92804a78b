"""When the alias moves, the new model takes over; one that cannot be used takes nothing over."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from copperline.inspection import Detector
from copperline.line import LineInspector
from copperline.registry import Registry, builtin_model, promote_model
from copperline.service.metrics import Metrics
from copperline.service.model_watch import ServiceModelWatch
from copperline.settings import Settings
from copperline.stage import Stage
from copperline.warehouse import open_warehouse


class Watched:
    """A watch that is asked to look by the test alone."""

    def __init__(self, workspace: Path, name: str) -> None:
        self.settings = Settings(workspace=workspace, threads=1)
        self.engine = open_warehouse(self.settings.warehouse)
        first = Detector.load(name, settings=self.settings)
        self.inspector = LineInspector(first, self.engine, Stage(self.settings))
        self.metrics = Metrics()
        self.watch = ServiceModelWatch(
            self.settings, name, self.inspector, self.metrics, poll_s=60, typical_size=lambda: (64, 64)
        )

    @property
    def serves(self) -> tuple[str, str]:
        return self.inspector.detector.name, self.inspector.detector.version


@pytest.fixture
def watched(registered: Path, tmp_path: Path) -> Any:
    shutil.copytree(registered, tmp_path / "w")
    found = Watched(tmp_path / "w", "champion")
    yield found
    found.engine.dispose()


def test_the_alias_moves_and_the_other_model_inspects(watched: Watched) -> None:
    assert not watched.watch.look()
    promote_model(watched.settings, "2", by="ann")
    assert watched.watch.look()
    assert watched.serves == ("pcb-detector", "2")
    text = watched.metrics.text().decode()
    assert 'copperline_model_info{name="pcb-detector",version="2"} 1.0' in text
    assert 'version="1"' not in text
    assert not watched.watch.look()


def test_a_damaged_model_leaves_the_old_one_in_service(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    file = next(v for v in Registry(watched.settings).versions() if v.version == 2).model_path
    whole = file.read_bytes()
    promote_model(watched.settings, "2", by="ann")
    file.write_bytes(whole[:-100])
    for _ in range(3):
        assert not watched.watch.look()
    assert watched.serves == ("pcb-detector", "1")
    assert watched.watch.fault is not None
    assert "damaged" in watched.watch.fault
    assert len([r for r in caplog.records if "cannot be used" in r.message]) == 1
    assert "copperline_model_fault 1.0" in watched.metrics.text().decode()
    file.write_bytes(whole)
    assert watched.watch.look()
    assert watched.watch.fault is None
    assert watched.serves == ("pcb-detector", "2")


def test_a_file_that_is_replaced_is_another_model(tmp_path: Path) -> None:
    file = tmp_path / "line.onnx"
    shutil.copyfile(builtin_model("deeppcb").path, file)
    watched = Watched(tmp_path / "w", str(file))
    before = watched.serves
    file.write_bytes(b"no model")
    assert not watched.watch.look()
    assert watched.serves == before
    shutil.copyfile(builtin_model("golden-only").path, file)
    assert watched.watch.look()
    assert watched.serves == ("line", builtin_model("golden-only").sha256[:12])
    watched.engine.dispose()


def test_the_service_tells_which_model_inspects_and_what_is_wrong(registry_service: Any, until: Any) -> None:
    service = registry_service
    ready = httpx.get(f"{service.url}/readyz").json()
    assert (ready["model"]["name"], ready["model"]["version"], ready["model"]["fault"]) == ("pcb-detector", "1", None)
    answer = service.client.promote("challenger", reason="fewer false calls")
    assert (answer["version"], answer["alias"]) == ("2", "champion")
    until(lambda: service.client.models()["serving"]["version"] == "2")
    promotion = Registry(service.pieces.settings).history().promotions[-1]
    assert (promotion.by, promotion.reason, promotion.from_version) == ("local", "fewer false calls", 1)
