from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from copperline.data.images import read_image, write_image
from copperline.errors import DataError
from copperline.reference import GoldenLibrary


def image(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.random.default_rng(seed).integers(0, 256, (40, 48)).astype(np.uint8))
    return path


def test_a_board_is_found_by_its_id_before_its_product(tmp_path: Path) -> None:
    product = image(tmp_path / "AX7.png")
    variant = image(tmp_path / "sub" / "AX7-2.png")
    board = image(tmp_path / "AX7-2-0003.jpg")
    library = GoldenLibrary(tmp_path)
    assert len(library) == 3
    assert library.find("AX7-2-0003") == board
    assert library.find("AX7-2-0004") == variant
    assert library.find("AX7-9_1") == product
    assert library.find("AX70-1") is None
    assert library.find("") is None


def test_added_references_are_found_and_kept(tmp_path: Path) -> None:
    source = image(tmp_path / "in" / "scan.bmp", seed=5)
    library = GoldenLibrary(tmp_path / "golden")
    assert len(library) == 0
    path = library.add("B1", source)
    assert library.find("B1") == path
    assert GoldenLibrary(tmp_path / "golden").find("B1") == path
    assert np.array_equal(read_image(path), read_image(source))


def test_a_reference_is_never_replaced_silently(tmp_path: Path) -> None:
    library = GoldenLibrary(tmp_path / "golden")
    first = library.add("B1", image(tmp_path / "a.png", 1))
    before = first.read_bytes()
    with pytest.raises(DataError, match="found one"):
        library.add("B1", image(tmp_path / "b.png", 2))
    assert first.read_bytes() == before


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden"])
def test_names_that_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="expected a board id"):
        GoldenLibrary(tmp_path / "golden").add(name, image(tmp_path / "a.png"))


def test_two_files_for_one_board_are_refused(tmp_path: Path) -> None:
    image(tmp_path / "B1.png")
    image(tmp_path / "old" / "B1.jpg")
    with pytest.raises(DataError, match="one reference for 'B1'"):
        GoldenLibrary(tmp_path)


def test_what_is_no_image_is_not_added(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("text", encoding="utf-8")
    library = GoldenLibrary(tmp_path / "golden")
    with pytest.raises(DataError):
        library.add("B1", tmp_path / "a.png")
    assert len(library) == 0
    assert library.find("B1") is None
