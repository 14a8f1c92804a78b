from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from copperline.data import read_deeppcb, read_golden
from copperline.data.golden import is_golden
from copperline.data.synthetic import write_synthetic_dataset
from copperline.errors import DataError


def golden(path: Path, seed: int = 0, size: tuple[int, int] = (96, 128)) -> Path:
    image = np.full(size, 255, np.uint8)
    image[:, 10 + seed : 20 + seed] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)
    return path


def folder_of(root: Path, names: Sequence[str]) -> Path:
    for seed, name in enumerate(names):
        golden(root / f"{name}.png", seed)
    return root


@pytest.fixture(scope="module")
def deeppcb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden") / "boards"
    write_synthetic_dataset(folder, train=9, test=1, size=128, processes=1)
    return folder


def test_of_deeppcb_the_references_of_trainval_are_split_as_with_labels(deeppcb: Path) -> None:
    dataset, report = read_golden(deeppcb)
    labelled, _ = read_deeppcb(deeppcb, splits=("train", "val"))
    assert [(p.board_id, p.board_group, p.split, p.reference_path) for p in dataset] == [
        (p.board_id, p.board_group, p.split, p.reference_path) for p in labelled
    ]
    assert all(is_golden(pair) and len(pair.labels) == 0 for pair in dataset)
    assert not any(map(is_golden, labelled))
    assert (report.skipped, report.duplicates, report.notes) == ((), (), ())
    assert dataset.name == "boards, references alone"


def test_neither_labels_nor_test_images_nor_the_test_list_need_be_there(tmp_path: Path) -> None:
    lines = []
    for seed, board in enumerate(["a/a0", "a/a1", "b/b0"]):
        golden(tmp_path / f"{board}_temp.png", seed)
        lines.append(f"{board}.png {board}.txt\n")
    (tmp_path / "trainval.txt").write_text("".join(lines))
    dataset, _ = read_golden(tmp_path)
    assert {pair.board_group: pair.split for pair in dataset} == {"a": "train", "b": "val"}


def test_a_bad_line_of_the_list_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "trainval.txt").write_text("a/a0.png\n")
    with pytest.raises(DataError, match="annotation file"):
        read_golden(tmp_path)
    (tmp_path / "trainval.txt").rename(tmp_path / "test.txt")
    with pytest.raises(DataError, match=r"expected trainval\.txt"):
        read_golden(tmp_path)


def test_groups_of_a_folder_are_its_subfolders_or_single_images(tmp_path: Path) -> None:
    dataset, report = read_golden(folder_of(tmp_path, ["AX7/one", "AX7/deep/two", "BZ/one", "single"]))
    assert {pair.board_id: pair.board_group for pair in dataset} == {
        "AX7-one": "AX7",
        "AX7-deep-two": "AX7",
        "BZ-one": "BZ",
        "single": "single",
    }
    assert len({pair.split for pair in dataset if pair.board_group == "AX7"}) == 1
    assert report.notes == ()


def test_one_group_is_split_by_board_and_the_report_says_so(tmp_path: Path) -> None:
    dataset, report = read_golden(folder_of(tmp_path, [f"AX7/{i}" for i in range(5)]))
    assert {pair.split for pair in dataset} == {"train", "val"}
    assert "by board, not by group" in report.notes[0]


def test_inspected_boards_beside_their_references_are_not_taken_for_golden(tmp_path: Path) -> None:
    dataset, _ = read_golden(folder_of(tmp_path, ["1_temp", "1_test", "2_temp", "2_test"]))
    assert [pair.board_id for pair in dataset] == ["1_temp", "2_temp"]


def test_images_without_anything_to_draw_on_are_left_out_by_name(tmp_path: Path) -> None:
    folder_of(tmp_path, ["a", "b", "c"])
    cv2.imwrite(str(tmp_path / "bare.png"), np.full((96, 96), 255, np.uint8))
    cv2.imwrite(str(tmp_path / "flooded.png"), np.zeros((96, 96), np.uint8))
    golden(tmp_path / "narrow.png", size=(40, 96))
    dataset, report = read_golden(tmp_path)
    assert len(dataset) == 3
    reasons = {board.board: board.reason for board in report.skipped}
    assert set(reasons) == {"bare", "flooded", "narrow"}
    assert "no copper" in reasons["bare"]
    assert "no laminate" in reasons["flooded"]
    assert "96 x 40" in reasons["narrow"]


def test_images_may_differ_in_size(tmp_path: Path) -> None:
    golden(tmp_path / "a.png", size=(64, 300))
    golden(tmp_path / "b.png", size=(500, 80))
    dataset, _ = read_golden(tmp_path)
    assert {(pair.width, pair.height) for pair in dataset} == {(300, 64), (80, 500)}


def test_an_image_that_came_before_is_kept_once(tmp_path: Path) -> None:
    folder_of(tmp_path, ["a", "b", "c", "d"])
    (tmp_path / "e.png").write_bytes((tmp_path / "a.png").read_bytes())
    dataset, report = read_golden(tmp_path)
    assert len(dataset) == 4
    assert len(report.duplicates) == 1
    assert "same image" in report.duplicates[0]


def test_a_damaged_image_is_an_error_that_names_it(tmp_path: Path) -> None:
    folder_of(tmp_path, ["a", "b"])
    damaged = golden(tmp_path / "c.png")
    damaged.write_bytes(damaged.read_bytes()[:60])
    with pytest.raises(DataError, match=r"c\.png: .*damaged"):
        read_golden(tmp_path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "found no such folder"),
        (["only"], "found 1 usable"),
        (["x/same", "x-same"], "expected one golden image for 'x-same'"),
        (["a", "b", "annotations/c"], "labelled data set"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_golden(folder_of(tmp_path / "boards", names))


def test_too_few_after_leaving_out_says_why(tmp_path: Path) -> None:
    golden(tmp_path / "a.png")
    cv2.imwrite(str(tmp_path / "b.png"), np.full((96, 96), 255, np.uint8))
    with pytest.raises(DataError, match=r"found 1 usable, 1 left out .*no copper"):
        read_golden(tmp_path)
