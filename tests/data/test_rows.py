import dataclasses
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.data import BoardDataset, data_hash, write_image
from copperline.data.rows import dataset_of_rows, rows_of_frame, write_board_rows
from copperline.errors import DataError
from copperline.labeled_board import COLUMNS, LabeledBoard
from copperline.taxonomy import DEEPPCB

from .conftest import board_image


def encoded(name: str, folder: Path) -> bytes:
    path = folder / f"{name}.png"
    write_image(path, board_image(name))
    return path.read_bytes()


@pytest.fixture
def rows(tmp_path: Path) -> list[LabeledBoard]:
    golden = encoded("golden", tmp_path)
    return [
        LabeledBoard("a.png", encoded("a", tmp_path), "0 0.5 0.5 0.25 0.25\n", "train", golden, "g1"),
        LabeledBoard("b.png", encoded("b", tmp_path), "", "val", golden, "g2"),
        LabeledBoard("c.png", encoded("c", tmp_path), "3 0.5 0.5 0.125 0.125\n", "train", None, None),
    ]


def test_rows_become_the_boards_that_they_tell_of(rows: list[LabeledBoard], tmp_path: Path) -> None:
    dataset, report = dataset_of_rows(rows, tmp_path / "boards", DEEPPCB)
    assert (report.accepted, report.skipped, report.duplicates, report.notes) == (3, (), (), ())
    assert [(pair.board_id, pair.split, pair.board_group) for pair in dataset] == [
        ("a", "train", "g1"),
        ("c", "train", "c"),
        ("b", "val", "g2"),
    ]
    first = dataset.pairs[0]
    assert first.test_path.read_bytes() == rows[0].image_bytes
    assert first.reference_path is not None and first.reference_path.read_bytes() == rows[0].reference_bytes
    assert first.labels.boxes.tolist() == [[24, 24, 40, 40]]
    assert dataset.pairs[1].reference_path is None


def test_the_order_of_rows_does_not_matter(rows: list[LabeledBoard], tmp_path: Path) -> None:
    one, other = (dataset_of_rows(each, tmp_path / name, DEEPPCB)[0] for name, each in (("1", rows), ("2", rows[::-1])))
    assert data_hash(one) == data_hash(other)
    assert [pair.board_id for pair in one] == [pair.board_id for pair in other]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"filename": "../a.png"}, "expected the file name of an image, found '../a.png'"),
        ({"filename": "a.exe"}, "expected the file name of an image"),
        ({"filename": ".png"}, "expected a"),
        ({"filename": "b.png"}, "expected each board once, found b twice"),
        ({"filename": "b.jpg"}, "expected each board once, found b twice"),
        ({"split": "Train"}, "expected a split out of train, val, test, found 'Train'"),
    ],
)
def test_a_row_that_is_no_board_is_named_and_nothing_is_left(
    rows: list[LabeledBoard], tmp_path: Path, change: dict[str, str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        write_board_rows([dataclasses.replace(rows[0], **change), *rows[1:]], tmp_path / "boards", DEEPPCB)
    assert not (tmp_path / "boards").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image_bytes": b"no image"}, "a.png: expected"),
        ({"reference_bytes": b""}, "a.png"),
        ({"label_text": "9 .5 .5 .1 .1"}, "a.txt:1: expected a class from 0 to 5, found 9"),
        ({"label_text": "\n0 .5 .5 .1"}, "a.txt:2: expected 5 numbers (class x y width height), found '0 .5 .5 .1'"),
        ({"label_text": "0 1.5 .5 .1 .1"}, "a.txt:1: expected a box on the 64 x 64 image"),
    ],
)
def test_a_board_with_a_wrong_image_or_label_is_left_out_and_named(
    rows: list[LabeledBoard], tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    dataset, report = dataset_of_rows([dataclasses.replace(rows[0], **change), *rows[1:]], tmp_path / "boards", DEEPPCB)
    assert [pair.board_id for pair in dataset] == ["c", "b"]
    assert [board.board for board in report.skipped] == ["a"]
    assert reason in report.skipped[0].reason


def test_only_a_folder_of_boards_is_written_over(rows: list[LabeledBoard], tmp_path: Path) -> None:
    folder = tmp_path / "boards"
    write_board_rows(rows, folder, DEEPPCB)
    with pytest.raises(DataError, match="the folder exists already"):
        write_board_rows(rows[:1], folder, DEEPPCB)
    with pytest.raises(DataError, match=r"found '\.\./a\.png'"):
        write_board_rows([dataclasses.replace(rows[0], filename="../a.png")], folder, DEEPPCB, overwrite=True)
    assert len(list(folder.rglob("images/*/*"))) == 3
    assert write_board_rows(rows[:1], folder, DEEPPCB, overwrite=True) == 1
    assert len(list(folder.rglob("images/*/*"))) == 1
    (other := tmp_path / "other").mkdir()
    (other / "letter.txt").write_text("mine")
    with pytest.raises(DataError, match="found something else"):
        write_board_rows(rows, other, DEEPPCB, overwrite=True)
    assert (other / "letter.txt").read_text() == "mine"


def test_no_rows_say_how_the_table_is_filled(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found none; fill the table with `copperline data import`"):
        dataset_of_rows([], tmp_path / "boards", DEEPPCB)


def test_a_frame_is_read_in_whatever_case_its_columns_are(rows: list[LabeledBoard]) -> None:
    frame = pd.DataFrame([dataclasses.asdict(row) for row in rows])
    frame["reference_bytes"] = [bytearray(rows[0].reference_bytes or b""), rows[1].reference_bytes, float("nan")]
    assert rows_of_frame(frame) == rows
    assert rows_of_frame(frame.rename(columns={name: f'"{name.upper()}"' for name in COLUMNS})) == rows


def test_a_frame_of_something_else_is_refused(rows: list[LabeledBoard]) -> None:
    frame = pd.DataFrame([dataclasses.asdict(row) for row in rows])
    with pytest.raises(DataError, match="found no split"):
        rows_of_frame(frame.drop(columns="split"))
    with pytest.raises(DataError, match=r"a\.png: expected a name, bytes and a split, found str, str and str"):
        rows_of_frame(frame.assign(image_bytes="iVBORw0KGgo="))


@settings(deadline=None)  # a disk may be slow
@given(st.text(max_size=20))
def test_no_file_name_leads_out_of_the_folder(filename: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "inner" / "boards"
        try:
            write_board_rows([LabeledBoard(filename, b"x", "", "train")], folder, DEEPPCB)
        except DataError:
            assert not list(Path(parent).rglob("*.*"))
        else:
            assert (folder / "images" / "train" / filename).read_bytes() == b"x"


def test_the_class_numbers_are_those_of_the_taxonomy(rows: list[LabeledBoard], tmp_path: Path) -> None:
    dataset, _ = dataset_of_rows(rows, tmp_path / "boards", DEEPPCB)
    assert isinstance(dataset, BoardDataset)
    assert [pair.labels.class_ids.tolist() for pair in dataset] == [[0], [3], []]
