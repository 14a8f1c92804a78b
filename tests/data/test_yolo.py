from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from copperline.data.deeppcb import read_deeppcb
from copperline.data.yolo import read_yolo, write_yolo
from copperline.errors import DataError


@pytest.fixture
def tree(deeppcb: Path, tmp_path: Path) -> Path:
    write_yolo(read_deeppcb(deeppcb)[0], tmp_path / "yolo")
    return tmp_path / "yolo"


def test_the_layout_is_yolos(tree: Path) -> None:
    assert (tree / "labels" / "test" / "12000000.txt").read_text() == (
        "0 0.3125 0.3125 0.3125 0.3125\n5 0.46875 0.65625 0.3125 0.3125\n"
    )
    content = yaml.safe_load((tree / "data.yaml").read_text())
    assert content["train"] == "images/train"
    assert content["names"] == {0: "open", 1: "short", 2: "mousebite", 3: "spur", 4: "copper", 5: "pin-hole"}
    assert sorted(p.name for p in (tree / "references" / "train").iterdir()) == ["92000000.png", "92000001.png"]
    labelled = {p.stem for p in tree.rglob("*.txt")}
    assert labelled == {p.stem for p in (tree / "images").rglob("*.png")}
    assert not any("references" in p.parts for p in tree.rglob("*.txt"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("0 0.5 0.5 0.1", "expected 5 numbers (class x y width height)"),
        ("6 0.5 0.5 0.1 0.1", "expected a class from 0 to 5, found 6"),
        ("0 0.5 0.5 -0.1 0.1", "expected x1 < x2"),
        ("0 1.5 0.5 0.1 0.1", "outside it"),
        ("0 0.1 0.1 0.2 0.1 0.2 0.2", "expected 5 numbers"),
    ],
)
def test_a_bad_label_skips_its_board_with_file_and_line(tree: Path, text: str, problem: str) -> None:
    path = tree / "labels" / "train" / "92000000.txt"
    path.write_text(f"\n{text}\n")
    dataset, report = read_yolo(tree)
    assert len(dataset) == 4
    assert report.skipped[0].reason.startswith(f"{path}:2: ")
    assert problem in report.skipped[0].reason


def test_a_box_over_the_border_is_clipped_and_counted(tree: Path) -> None:
    (tree / "labels" / "train" / "92000000.txt").write_text("0 0.0 0.5 0.5 0.5\n")
    dataset, report = read_yolo(tree)
    assert dataset.pairs[0].labels.boxes.tolist() == [[0, 16, 16, 48]]
    assert report.boxes_clipped == 1


def test_a_lost_label_file_is_no_good_board(tree: Path) -> None:
    (tree / "labels" / "train" / "92000000.txt").unlink()
    (tree / "labels" / "train" / "92000001.txt").write_text("")
    dataset, report = read_yolo(tree)
    assert [s.board for s in report.skipped] == ["92000000"]
    assert "make an empty one if it has no defects" in report.skipped[0].reason
    assert report.boards_without_defects == 1
    assert len(dataset) == 4


def test_a_foreign_tree_with_folders_per_split_is_read(tree: Path, tmp_path: Path) -> None:
    """As labelling services export it: train/images, train/labels, and `../` in data.yaml."""
    foreign = tmp_path / "foreign"
    (foreign / "train").mkdir(parents=True)
    (tree / "images" / "train").rename(foreign / "train" / "images")
    (tree / "labels" / "train").rename(foreign / "train" / "labels")
    names = ["open", "short", "mousebite", "spur", "copper", "pin_hole"]
    (foreign / "data.yaml").write_text(yaml.safe_dump({"train": "../train/images", "nc": 6, "names": names}))
    dataset, report = read_yolo(foreign)
    assert [(p.board_id, p.board_group, p.reference_path) for p in dataset] == [
        ("92000000", "92000000", None),
        ("92000001", "92000001", None),
    ]
    assert dataset.pairs[0].labels.boxes.tolist() == [[10, 10, 30, 30], [20, 32, 40, 52]]
    assert report.boards_without_reference == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("names: [", "expected YAML"),
        ("- a\n", "expected a mapping"),
        ("train: images/train\n", "expected `names`"),
        ("names: {1: open}\n", "expected `names`"),
        ("names: [open, hole]\n", "expected classes of the taxonomy"),
        ("names: [open]\ntrain: images/lost\n", "found no such folder"),
        ("names: [open]\ntrain: [a, b]\n", "expected one folder of images for train"),
        ("names: [open]\n", "expected at least one usable board"),
    ],
)
def test_a_bad_data_file_is_named(tree: Path, text: str, problem: str) -> None:
    (tree / "data.yaml").write_text(text)
    with pytest.raises(DataError) as caught:
        read_yolo(tree)
    assert problem in str(caught.value)
    assert str(caught.value).startswith(str(tree))


def test_a_bad_boards_file_is_named(tree: Path) -> None:
    (tree / "boards.csv").write_text("a,b,c\n")
    with pytest.raises(DataError, match=r"boards\.csv: expected two columns"):
        read_yolo(tree)
