from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from copperline.data.deeppcb import read_deeppcb
from copperline.errors import DataError, SettingsError
from copperline.taxonomy import DEEPPCB, Taxonomy


def labels_file(root: Path, board: str) -> Path:
    return next(root.rglob(f"{board}.txt"))


def image_file(root: Path, board: str, kind: str = "test") -> Path:
    return next(root.rglob(f"{board}_{kind}.png"))


def test_reads_pairs_in_list_order_with_their_labels(deeppcb: Path) -> None:
    dataset, report = read_deeppcb(deeppcb)
    assert [(p.board_id, p.board_group, p.split) for p in dataset] == [
        ("77000000", "group77000", "val"),
        ("77000001", "group77000", "val"),
        ("92000000", "group92000", "train"),
        ("92000001", "group92000", "train"),
        ("12000000", "group12000", "test"),
    ]
    first = dataset.pairs[0]
    assert first.labels.boxes.tolist() == [[10, 10, 30, 30], [20, 32, 40, 52]]
    assert first.labels.class_ids.tolist() == [0, 5]
    assert first.labels.confidences.tolist() == [1, 1]
    assert (first.width, first.height) == (64, 64)
    assert first.test_path.name == "77000000_test.png"
    assert first.reference_path is not None
    assert first.reference_path.name == "77000000_temp.png"
    assert report.accepted == 5
    assert report.skipped == ()
    assert report.boards == {"train": 2, "val": 2, "test": 1}
    assert report.groups == {"train": ("group92000",), "val": ("group77000",), "test": ("group12000",)}
    assert report.class_counts["train"] == {
        "open": 2, "short": 0, "mousebite": 0, "spur": 0, "copper": 0, "pin-hole": 2,
    }  # fmt: skip


def test_a_checkout_with_pcbdata_below_reads_the_same(deeppcb: Path) -> None:
    assert read_deeppcb(deeppcb.parent)[0].pairs == read_deeppcb(deeppcb)[0].pairs


def test_commas_blank_lines_and_a_byte_order_mark_are_read(deeppcb: Path) -> None:
    labels_file(deeppcb, "77000000").write_text("\ufeff1,2,30,40,2\r\n\r\n 3\t4 20 21 3 \n", encoding="utf-8")
    labels = read_deeppcb(deeppcb)[0].pairs[0].labels
    assert labels.boxes.tolist() == [[1, 2, 30, 40], [3, 4, 20, 21]]
    assert labels.class_ids.tolist() == [1, 2]


def test_an_empty_annotation_is_a_board_without_defects(deeppcb: Path) -> None:
    labels_file(deeppcb, "77000000").write_text("")
    dataset, report = read_deeppcb(deeppcb)
    assert len(dataset.pairs[0].labels) == 0
    assert report.boards_without_defects == 1


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("open at the left", "expected 5 numbers (x1 y1 x2 y2 class), found 'open at the left'"),
        ("1 2 30 40", "expected 5 numbers"),
        ("1 2 30 40 1 9", "expected 5 numbers"),
        ("1 2 nan 40 1", "expected 5 numbers"),
        ("1 2 30 40 0", "expected a class from 1 to 6, found 0"),
        ("1 2 30 40 7", "expected a class from 1 to 6, found 7"),
        ("1 2 30 40 1.5", "expected a class from 1 to 6, found 1.5"),
        ("-1 2 30 40 1", "expected pixels from 0 on, found a negative one"),
        ("30 2 1 40 1", "expected x1 < x2 and y1 < y2, found the box 30 2 1 40"),
        ("30 2 30 40 1", "expected x1 < x2"),
        ("64 2 70 40 1", "expected a box on the 64 x 64 image, found 64 2 70 40 outside it"),
    ],
)
def test_a_bad_annotation_line_skips_its_pair_alone(deeppcb: Path, line: str, problem: str) -> None:
    path = labels_file(deeppcb, "92000000")
    path.write_text(f"10 10 20 20 1\n{line}\n")
    dataset, report = read_deeppcb(deeppcb)
    assert [p.board_id for p in dataset] == ["77000000", "77000001", "92000001", "12000000"]
    assert [s.board for s in report.skipped] == ["92000000"]
    assert report.skipped[0].reason.startswith(f"{path}:2: {problem}")


def test_an_annotation_that_is_no_text_skips_its_pair(deeppcb: Path) -> None:
    labels_file(deeppcb, "92000000").write_bytes(b"\xff\xfe\x00")
    assert "expected UTF-8 text" in read_deeppcb(deeppcb)[1].skipped[0].reason


def test_a_box_over_the_border_is_clipped_and_counted(deeppcb: Path) -> None:
    labels_file(deeppcb, "77000000").write_text("50 50 70 66 1\n10 10 64 64 1\n")
    dataset, report = read_deeppcb(deeppcb)
    assert dataset.pairs[0].labels.boxes.tolist() == [[50, 50, 64, 64], [10, 10, 64, 64]]
    assert report.boxes_clipped == 1


@pytest.mark.parametrize("kind", ["test", "temp"])
def test_a_missing_or_damaged_image_skips_its_pair_alone(deeppcb: Path, kind: str) -> None:
    lost, damaged = image_file(deeppcb, "77000000", kind), image_file(deeppcb, "92000000", kind)
    lost.unlink()
    damaged.write_bytes(damaged.read_bytes()[:60])
    dataset, report = read_deeppcb(deeppcb)
    assert [p.board_id for p in dataset] == ["77000001", "92000001", "12000000"]
    assert [s.board for s in report.skipped] == ["77000000", "92000000"]
    assert report.skipped[0].reason.startswith(f"{lost}: expected an image, found no file")
    assert report.skipped[1].reason.startswith(f"{damaged}: expected a whole image")
    assert {p.board_id: p.split for p in dataset}["77000001"] == "val"


def test_images_of_two_sizes_skip_their_pair(deeppcb: Path) -> None:
    path = image_file(deeppcb, "77000000", "temp")
    cv2.imwrite(str(path), cv2.imread(str(path), 0)[:40])
    assert "size 64 x 64, found 64 x 40" in read_deeppcb(deeppcb)[1].skipped[0].reason


def test_a_bare_reference_is_kept_and_noted_a_bare_test_image_is_skipped(deeppcb: Path) -> None:
    cv2.imwrite(str(image_file(deeppcb, "77000000", "temp")), np.full((64, 64), 255, np.uint8))
    cv2.imwrite(str(image_file(deeppcb, "92000000", "test")), np.zeros((64, 64), np.uint8))
    dataset, report = read_deeppcb(deeppcb)
    assert [p.board_id for p in dataset] == ["77000000", "77000001", "92000001", "12000000"]
    assert report.notes == ("references of a bare part of the board, without any contrast: 1 (77000000)",)
    assert "is no board" in report.skipped[0].reason


def test_a_bad_list_line_is_reported_and_the_rest_goes_on(deeppcb: Path) -> None:
    path = deeppcb / "trainval.txt"
    path.write_text("one-field-only\n" + path.read_text())
    dataset, report = read_deeppcb(deeppcb)
    assert len(dataset) == 5
    assert report.skipped[0].board == "trainval.txt:1"
    assert report.skipped[0].reason.startswith(f"{path}:1: expected an image and its annotation file")


@pytest.mark.parametrize(("missing", "left"), [("trainval.txt", {"test": 1}), ("test.txt", {"train": 2, "val": 2})])
def test_one_list_is_enough_and_the_report_names_the_other(deeppcb: Path, missing: str, left: dict[str, int]) -> None:
    (deeppcb / missing).unlink()
    _, report = read_deeppcb(deeppcb)
    assert report.boards == left
    assert f"split file {missing} missing" in report.notes


def test_without_any_list_or_any_good_pair_it_fails(deeppcb: Path, tmp_path: Path) -> None:
    for board in ("77000000", "77000001", "92000000", "92000001", "12000000"):
        image_file(deeppcb, board).unlink()
    with pytest.raises(
        DataError,
        match=r"expected at least one usable board in test, train, val, found none of 5 \(first: .*77000000_test",
    ):
        read_deeppcb(deeppcb)
    with pytest.raises(DataError, match=r"expected trainval\.txt or test\.txt, found neither"):
        read_deeppcb(tmp_path / "nowhere")


def test_reading_some_splits_is_that_part_of_reading_all(deeppcb: Path) -> None:
    whole, _ = read_deeppcb(deeppcb)
    for split in ("train", "val", "test"):
        part, report = read_deeppcb(deeppcb, splits=[split])
        assert part.pairs == whole.split(split)
        assert list(report.boards) == [split]
    with pytest.raises(SettingsError, match="expected splits out of train, val, test, found final"):
        read_deeppcb(deeppcb, splits=["final"])  # type: ignore[list-item]


def test_reading_test_needs_no_training_image(deeppcb: Path) -> None:
    shutil.rmtree(deeppcb / "group77000")
    shutil.rmtree(deeppcb / "group92000")
    _, report = read_deeppcb(deeppcb, splits=["test"])
    assert report.accepted == 1
    assert report.skipped == ()


def test_a_single_group_is_split_by_board(make_deeppcb) -> None:  # type: ignore[no-untyped-def]
    root = make_deeppcb({"group20085": [f"2008500{i}" for i in range(8)]})
    dataset, report = read_deeppcb(root)
    assert {p.split for p in dataset} == {"train", "val"}
    assert len(dataset.split("train")) > len(dataset.split("val"))
    assert any("split off by board" in note for note in report.notes)


def test_a_board_in_both_lists_is_kept_in_test_alone(deeppcb: Path) -> None:
    line = (deeppcb / "trainval.txt").read_text().splitlines()[2]
    with (deeppcb / "test.txt").open("a") as stream:
        stream.write(line + "\n")
    dataset, report = read_deeppcb(deeppcb)
    assert [p.split for p in dataset if p.board_id == "92000000"] == ["test"]
    assert report.duplicates == ("board 92000000 is listed also in train; kept once, in test",)
    assert "92000000" not in {p.board_id for p in read_deeppcb(deeppcb, splits=["train", "val"])[0]}


def test_a_board_twice_in_one_list_is_kept_once(deeppcb: Path) -> None:
    path = deeppcb / "trainval.txt"
    path.write_text(path.read_text() + path.read_text().splitlines()[0] + "\n")
    dataset, report = read_deeppcb(deeppcb)
    assert len(dataset) == 5
    assert report.duplicates == ("board 77000000 is listed twice in val; kept once, in val",)


def test_an_image_in_two_splits_is_kept_in_test(deeppcb: Path) -> None:
    shutil.copyfile(image_file(deeppcb, "12000000"), image_file(deeppcb, "92000001"))
    dataset, report = read_deeppcb(deeppcb)
    assert [p.board_id for p in dataset] == ["77000000", "77000001", "92000000", "12000000"]
    assert report.duplicates == ("board 92000001 in train has the same image as 12000000 in test; kept in test",)
    train, _ = read_deeppcb(deeppcb, splits=["train"])
    assert [p.board_id for p in train] == ["92000000"]


def test_an_image_twice_in_one_split_is_kept_and_reported(deeppcb: Path) -> None:
    shutil.copyfile(image_file(deeppcb, "77000000"), image_file(deeppcb, "77000001"))
    dataset, report = read_deeppcb(deeppcb)
    assert len(dataset) == 5
    assert report.duplicates == ("boards 77000000 and 77000001 in val have the same image",)


def test_another_taxonomy_sets_the_classes(deeppcb: Path) -> None:
    labels_file(deeppcb, "12000000").write_text("1 2 30 40 2\n")
    dataset, report = read_deeppcb(deeppcb, Taxonomy(DEEPPCB.classes[:2]))
    assert [p.board_id for p in dataset] == ["12000000"]
    assert report.class_counts == {"test": {"open": 0, "short": 1}}
    assert "expected a class from 1 to 2, found 6" in report.skipped[0].reason


def test_the_report_in_words_and_as_json(deeppcb: Path) -> None:
    image_file(deeppcb, "77000000").unlink()
    report = read_deeppcb(deeppcb)[1]
    lines = report.lines()
    assert lines[0] == f"4 boards accepted, 1 skipped, from {deeppcb}"
    assert lines[1] == (
        "train: 2 boards; groups: 1 (group92000); defects: open 2, short 0, mousebite 0, spur 0, copper 0, pin-hole 2"
    )
    assert lines[-1].startswith("skipped 77000000: ")
    assert report.to_dict()["boards"] == {"train": 2, "val": 1, "test": 1}
    assert report.lines(most=0)[-1] == "... and 1 more"


@pytest.mark.skipif("COPPERLINE_DEEPPCB" not in os.environ, reason="COPPERLINE_DEEPPCB is not set")
def test_the_real_data_set() -> None:
    start = time.perf_counter()
    dataset, report = read_deeppcb(os.environ["COPPERLINE_DEEPPCB"], splits=["train", "val"])
    seconds = time.perf_counter() - start
    assert report.skipped == ()
    assert report.duplicates == ()
    assert report.boxes_clipped == 0
    assert report.boards == {"train": 850, "val": 150}
    assert report.groups["val"] == ("group44000", "group77000")
    assert report.class_counts == {
        "train": {"open": 1114, "short": 897, "mousebite": 1201, "spur": 1010, "copper": 880, "pin-hole": 868},
        "val": {"open": 169, "short": 131, "mousebite": 178, "spur": 132, "copper": 130, "pin-hole": 163},
    }
    assert {(p.width, p.height) for p in dataset} == {(640, 640)}
    assert report.notes == (
        "references of a bare part of the board, without any contrast: 3 (20085159, 20085167, 20085168)",
    )
    assert seconds < 20  # about 2 s on two cores; the limit is for a busy machine
