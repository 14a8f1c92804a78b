"""Another champion takes over while boards go on."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path

import pytest

from copperline.inspection import Detector
from copperline.line.model_watch import ModelWatch
from copperline.registry import Registry, promote_model, resolve_model
from copperline.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(workspace=tmp_path / "w", threads=1)


def test_a_promoted_model_takes_over_and_a_broken_one_does_not(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    promote_model(settings, "builtin:deeppcb")
    first = Detector.load("champion", settings=settings)
    watch = ModelWatch(settings, "champion", first)
    watch.look()
    assert watch.latest() is first
    promote_model(settings, "builtin:golden-only")
    watch.look()
    second = watch.latest()
    assert (first.version, second.version) == ("1", "2")
    third = promote_model(settings, "1")
    third.model_path.write_bytes(b"damaged")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            watch.look()
    assert watch.latest() is second
    assert len([r for r in caplog.records if "goes on" in r.message]) == 1


def test_a_file_that_is_replaced_takes_over(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    shutil.copy(resolve_model(settings, "builtin:deeppcb").path, path)
    with ModelWatch(settings, str(path), Detector.load(path, settings=settings), poll_s=0.02) as watch:
        first = watch.latest()
        shutil.copy(resolve_model(settings, "builtin:golden-only").path, tmp_path / "new.onnx")
        (tmp_path / "new.onnx").replace(path)
        end = time.monotonic() + 20
        while watch.latest() is first and time.monotonic() < end:
            time.sleep(0.02)
        assert watch.latest().version != first.version


def test_while_nothing_is_registered_the_shipped_model_stays_without_a_word(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    detector = Detector.load("champion", settings=settings)
    watch = ModelWatch(settings, "champion", detector)
    caplog.clear()
    watch.look()
    assert watch.latest() is detector
    assert caplog.records == []
    assert not Registry(settings).versions()
