from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from copperline.data.coco import read_coco, write_coco
from copperline.data.deeppcb import read_deeppcb
from copperline.errors import DataError


@pytest.fixture
def tree(deeppcb: Path, tmp_path: Path) -> Path:
    return write_coco(read_deeppcb(deeppcb)[0], tmp_path / "coco")


def edit(tree: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    path = tree / "annotations" / "instances_train.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def test_the_layout_is_cocos(tree: Path) -> None:
    content = json.loads((tree / "annotations" / "instances_test.json").read_text())
    assert content["images"] == [
        {
            "id": 1,
            "file_name": "12000000.png",
            "width": 64,
            "height": 64,
            "reference_file_name": "12000000.png",
            "board_id": "12000000",
            "board_group": "group12000",
        }
    ]
    assert content["annotations"][1] == {
        "id": 2,
        "image_id": 1,
        "category_id": 6,
        "bbox": [20, 32, 20, 20],
        "area": 400,
        "iscrowd": 0,
    }
    assert [c["id"] for c in content["categories"]] == [1, 2, 3, 4, 5, 6]
    assert (tree / "images" / "test" / "12000000.png").is_file()
    assert (tree / "references" / "test" / "12000000.png").is_file()


def test_pycocotools_reads_it(tree: Path) -> None:
    tool = pytest.importorskip("pycocotools.coco").COCO(str(tree / "annotations" / "instances_train.json"))
    assert len(tool.getImgIds()) == 2
    assert len(tool.getAnnIds(catIds=[6])) == 2


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda c: c["annotations"][0].update(bbox=[1, 2, 3]), "an annotation of image 1: bbox"),
        (lambda c: c["annotations"][0].update(bbox=["a", 2, 3, 4]), "an annotation of image 1: bbox.0"),
        (lambda c: c["annotations"][0].update(bbox=[1, 2, 0, 4]), "expected x1 < x2"),
        (lambda c: c["annotations"][0].update(category_id=9), "category 9 is not among the categories"),
        (lambda c: c["annotations"][0].update(iscrowd=1), "an annotation of image 1: iscrowd"),
        (lambda c: c["images"][0].update(width=640), "expected 640 x 64 pixels, found an image of 64 x 64"),
        (lambda c: c["images"][0].update(file_name="lost.png"), "expected an image, found no file"),
        (lambda c: c["images"][0].update(board_id="../a"), "expected a board id that can be a file name"),
        (lambda c: c["images"][0].pop("file_name"), "image 1: file_name: Field required"),
    ],
)
def test_a_fault_skips_its_board_alone(tree: Path, change: Callable[[dict[str, Any]], None], problem: str) -> None:
    edit(tree, change)
    dataset, report = read_coco(tree)
    assert len(dataset) == 4
    assert len(report.skipped) == 1
    assert problem in report.skipped[0].reason


def test_plain_coco_without_our_keys_is_read(tree: Path) -> None:
    def plain(content: dict[str, Any]) -> None:
        for image in content["images"]:
            for key in ("reference_file_name", "board_id", "board_group"):
                del image[key]
        content["annotations"] = content["annotations"][:2]

    edit(tree, plain)
    (tree / "images" / "train").rename(tree / "train")
    dataset, report = read_coco(tree, splits=["train"])
    assert [(p.board_id, p.board_group, p.reference_path) for p in dataset] == [
        ("92000000", "92000000", None),
        ("92000001", "92000001", None),
    ]
    assert report.boards_without_defects == 1


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"images": [], "annotations": [{}], "categories": []}'])
def test_what_is_no_coco_is_named(tree: Path, text: str) -> None:
    (tree / "annotations" / "instances_val.json").write_text(text)
    with pytest.raises(DataError, match=r"instances_val\.json: expected a COCO object"):
        read_coco(tree)


def test_a_folder_without_annotations_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected annotations/instances_train\.json"):
        read_coco(tmp_path)
