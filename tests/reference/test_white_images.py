"""White images are kept on the stage, and used only if they are what the recipe names."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from copperline.errors import DataError
from copperline.reference import Recipe, WhiteImages, white_images
from copperline.settings import Settings
from copperline.stage import Stage


def png(level: int, size: int = 64) -> bytes:
    return cv2.imencode(".png", np.full((size, size), level, np.uint8))[1].tobytes()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(Settings(workspace=tmp_path))


def test_a_white_image_comes_back_by_its_hash(stage: Stage) -> None:
    whites = WhiteImages(stage)
    sha256 = whites.add(png(200))
    found = WhiteImages(stage).of(Recipe(white_image=sha256))
    assert found is not None
    assert np.array_equal(found, np.full((64, 64), 200))
    assert whites.of(Recipe()) is None


def test_what_is_no_white_image_is_not_kept(stage: Stage) -> None:
    for data, problem in ((png(255), "not clipped"), (png(2), "light everywhere"), (b"text", "expected an image")):
        with pytest.raises(DataError, match=problem):
            WhiteImages(stage).add(data)
    assert not stage.folder.exists()


def test_a_missing_or_changed_file_is_told(stage: Stage) -> None:
    recipe = Recipe(white_image=WhiteImages(stage).add(png(200)))
    path = next(p for p in stage.folder.rglob("*") if p.is_file())
    path.write_bytes(png(100))
    with pytest.raises(DataError, match="as it was added, found other content"):
        WhiteImages(stage).of(recipe)
    path.unlink()
    with pytest.raises(DataError, match="on the stage, found none"):
        WhiteImages(stage).of(recipe)


def test_memory_is_bounded_and_the_latest_stay(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(white_images, "_MOST_BYTES", 3 * 64 * 64)
    whites = WhiteImages(stage)
    recipes = [Recipe(white_image=whites.add(png(level))) for level in range(100, 112)]
    for recipe in recipes:
        whites.of(recipe)
    assert len(whites._images) == 3
    assert whites.of(recipes[0]) is not None
