"""`copperline references` on drawn boards, with a real warehouse and stage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from copperline.data import read_image, write_image
from copperline.data.images import Image
from copperline.data.synthetic import BoardStyle, ScanSettings, binarised_scan, draw_board, draw_defects, misregister

Run = Callable[..., Any]


def golden(seed: int = 3) -> Image:
    return draw_board(BoardStyle.of_product(seed), np.random.default_rng(seed), 416).image()


def scan(board: Image, seed: int) -> Image:
    rng = np.random.default_rng(seed)
    return binarised_scan(misregister(board, ScanSettings(), rng), ScanSettings(), rng)


@pytest.fixture
def references(copperline: Run, tmp_path: Path) -> Run:
    def run(command: str, *arguments: object) -> Any:
        return copperline("references", command, *arguments, "--workspace", tmp_path / "w")

    return run


@pytest.fixture
def boards(tmp_path: Path) -> list[Path]:
    """Three scans of one golden board, and one with a short."""
    damaged, _ = draw_defects(golden(), np.random.default_rng(11), classes=[1])
    images = [*(scan(golden(), n) for n in range(3)), scan(damaged, 7)]
    paths = [tmp_path / f"board{n}.png" for n in range(4)]
    for path, image in zip(paths, images, strict=True):
        write_image(path, image)
    return paths


def test_the_best_becomes_the_next_version_and_the_short_is_told(
    references: Run, boards: list[Path], tmp_path: Path
) -> None:
    added = references(
        "add",
        "Hub",
        *boards,
        "--opportunities",
        1200,
        "--note",
        "first",
        "--by",
        "ann",
        "--picture",
        tmp_path / "p",
        "--json",
    )
    assert added.status == 0, added.err
    record = added.json["reference"]
    assert (record["version"], record["created_by"], record["opportunities"]) == (1, "ann", 1200)
    assert added.json["compared_with"] == "the consensus"
    assert [bool(c["suspicions"]) for c in added.json["candidates"]] == [False, False, False, True]
    assert Path(record["image_path"]).read_bytes() == Path(added.json["added"]).read_bytes()
    assert read_image(added.json["pictures"][3]).shape == (416, 416, 3)
    people = references("add", "Hub", *boards)
    assert "as version 2 of Hub" in people.out
    assert "Look at board3.png: short" in people.out


def test_list_show_and_retire(references: Run, boards: list[Path], tmp_path: Path) -> None:
    ids = [
        references("add", "Hub", boards[0], "--revision", r, "--json").json["reference"]["reference_id"] for r in "AB"
    ]
    listed = references("list", "--product", "Hub", "--json").json["references"]
    assert [r["revision"] for r in listed] == ["A", "B"]
    shown = references("show", ids[0], "--picture", tmp_path / "g.png", "--json")
    assert shown.json["reference_id"] == ids[0]
    assert np.array_equal(read_image(tmp_path / "g.png"), read_image(boards[0]))
    assert references("retire", ids[0], "--json").json["current"] is None
    assert [r["revision"] for r in references("list", "--json").json["references"]] == ["B"]
    assert len(references("list", "--all", "--json").json["references"]) == 2
    for command in (("list", "--all"), ("show", ids[1]), ("retire", ids[1])):
        assert "Next: copperline references" in references(*command).out


def test_one_alone_says_that_nothing_was_checked_and_then_compares_with_the_earlier(
    references: Run, boards: list[Path]
) -> None:
    first = references("add", "Hub", boards[0])
    assert first.status == 0, first.err
    assert "Nothing could be cross-checked" in first.out
    assert references("add", "Hub", boards[1], "--json").json["compared_with"] == "version 1"
    refused = references("add", "Hub", boards[3])
    assert refused.status == 1
    assert "places where it differs from version 2" in refused.err
    assert "Look at board3.png: short" in refused.out
    assert references("add", "Hub", boards[3], "--force", "--json").json["reference"]["version"] == 3


def test_another_board_is_refused(references: Run, boards: list[Path], tmp_path: Path) -> None:
    write_image(tmp_path / "other.png", scan(golden(8), 1))
    refused = references("add", "Hub", boards[0], boards[1], tmp_path / "other.png")
    assert refused.status == 1
    assert refused.err.startswith(f"error: {tmp_path / 'other.png'}: expected images of one board")
    as_json = references("add", "Hub", boards[0], boards[1], tmp_path / "other.png", "--json")
    assert (as_json.status, as_json.json["reference"]) == (1, None)
    assert as_json.json["candidates"][2]["registration_score"] < 0.6
    assert references("list", "--json").json["references"] == []


def test_the_median_is_nearer_to_the_board_than_a_scan(references: Run, boards: list[Path]) -> None:
    added = references("add", "Hub", *boards, "--median", "--json")
    assert added.status == 0, added.err
    assert added.json["added"] == "median"
    image = read_image(added.json["reference"]["image_path"])
    assert np.unique(image).tolist() == [0, 255]
    few = references("add", "Hub", *boards[:2], "--median")
    assert "three or more images for a median, found 2" in few.err


def test_a_recipe_is_suggested_given_as_text_or_file_and_kept(
    references: Run, boards: list[Path], tmp_path: Path
) -> None:
    light = np.linspace(1, 0.4, 416)[None, :, None]
    for n in range(3):
        share = 1 - cv2.GaussianBlur(read_image(boards[n]), (0, 0), 0.8)[..., None] / 255.0
        colours = (share * np.array([70, 120, 215]) + (1 - share) * np.array([60, 85, 50])) * light
        write_image(tmp_path / f"camera{n}.png", np.rint(colours).clip(0, 255).astype(np.uint8))
    camera = [tmp_path / f"camera{n}.png" for n in range(3)]
    added = references("add", "Hub", *camera, "--recipe", "suggest", "--json")
    assert added.status == 0, added.err
    recipe = added.json["reference"]["conditioning"]
    assert (recipe["copper"], recipe["binarise"], recipe["flat_field"] > 0) == ("bright", "otsu", True)
    assert all(c["suspicions"] == [] for c in added.json["candidates"])
    (tmp_path / "recipe.json").write_text(json.dumps(recipe), encoding="utf-8")
    for text in (tmp_path / "recipe.json", json.dumps(recipe)):
        again = references("add", "Hub", *camera, "--recipe", text, "--median", "--json")
        assert again.json["reference"]["conditioning"] == recipe
        assert read_image(again.json["reference"]["image_path"]).shape == (416, 416, 3)
    white = tmp_path / "white.png"
    write_image(white, np.rint(np.full((416, 416, 3), 230.0) * light).astype(np.uint8))
    with_white = references("add", "Hub", *camera, "--recipe", "suggest", "--white-image", white, "--json")
    assert len(with_white.json["reference"]["conditioning"]["white_image"]) == 64
    assert "flat_field" not in with_white.json["reference"]["conditioning"]


def test_a_folder_is_imported_once_and_a_bad_file_is_told(references: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name in ("20085000_temp.jpg", "20085000_test.jpg", "sub/AX7.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(folder / name, golden())
    (folder / "broken.png").write_bytes(b"")
    first = references("import", folder, "--json").json
    assert [r["product_type"] for r in first["added"]] == ["20085000", "AX7"]
    assert [Path(s["file"]).name for s in first["skipped"]] == ["broken.png"]
    again = references("import", folder)
    assert "Added 0 references; 2 were there already, 1 were skipped." in again.out
    assert references("import", tmp_path / "nothing").status == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("add", " ", "IMAGE"), "expected the name of a product"),
        (("add", "Hub", "IMAGE", "--opportunities", "0"), "expected 1 or more opportunities"),
        (("add", "Hub", "IMAGE", "--recipe", '{"median": 4}'), "mistake in median"),
        (("add", "Hub", "IMAGE", "--recipe", "nothing.json"), "cannot be read"),
        (("add", "Hub", "missing.png"), "cannot be read"),
        (("show", "x"), "found no 'x'"),
        (("retire", "x"), "found no 'x'"),
        (("import", ".", "--recipe", "suggest"), "one recipe for all products"),
    ],
)
def test_mistakes_end_in_one_line(
    references: Run, boards: list[Path], arguments: tuple[str, ...], problem: str
) -> None:
    ran = references(*(boards[0] if a == "IMAGE" else boards[0].parent if a == "." else a for a in arguments))
    assert ran.status == 1
    assert problem in ran.err
    assert ran.err.count("\n") == 1
