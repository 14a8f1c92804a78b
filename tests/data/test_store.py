from __future__ import annotations

import dataclasses
import errno
import json
from pathlib import Path

import pytest

from copperline.data import store
from copperline.data.coco import write_coco
from copperline.data.deeppcb import read_deeppcb
from copperline.data.pairs import BoardDataset
from copperline.data.store import (
    data_hash,
    load_saved,
    open_dataset,
    save_dataset,
    saved_dataset,
    saved_datasets,
    splits_of_images,
)
from copperline.data.yolo import write_yolo
from copperline.detections import Detections
from copperline.errors import DataError
from copperline.taxonomy import DEEPPCB, Taxonomy


@pytest.fixture
def saved(deeppcb: Path, tmp_path: Path) -> Path:
    dataset, report = read_deeppcb(deeppcb)
    save_dataset(dataset, report, tmp_path / "saved")
    return tmp_path / "saved"


def test_what_was_saved_is_loaded(deeppcb: Path, tmp_path: Path) -> None:
    dataset, report = read_deeppcb(deeppcb)
    given = save_dataset(dataset, report, tmp_path / "saved")
    loaded, loaded_report = load_saved(tmp_path / "saved", verify=True)
    assert loaded == given
    assert loaded_report == report
    assert (loaded.name, loaded.source, loaded.taxonomy) == (dataset.name, dataset.source, dataset.taxonomy)
    assert [p.labels for p in loaded] == [p.labels for p in dataset]
    for before, after in zip(dataset, loaded, strict=True):
        assert after.test_path.parent == tmp_path / "saved" / "images"
        assert after.test_path.read_bytes() == before.test_path.read_bytes()
        assert after.reference_path is not None
        assert after.reference_path.parent == tmp_path / "saved" / "references"
    assert json.loads((tmp_path / "saved" / "dataset.json").read_text())["data_hash"] == data_hash(dataset)
    assert data_hash(loaded) == data_hash(dataset)


def test_the_facts_need_no_image(saved: Path) -> None:
    dataset, report = load_saved(saved)
    for image in (saved / "images").iterdir():
        image.unlink()
    facts = saved_dataset(saved)
    assert (facts.name, facts.source, facts.classes) == (saved.name, dataset.source, dataset.taxonomy.names)
    assert facts.report == report
    assert facts.data_hash == json.loads((saved / "dataset.json").read_text())["data_hash"]
    with pytest.raises(DataError, match=r"none/dataset\.json"):
        saved_dataset(saved / "none")


def test_fractional_boxes_come_back_exactly(deeppcb: Path, tmp_path: Path) -> None:
    dataset, report = read_deeppcb(deeppcb)
    pair = dataclasses.replace(dataset.pairs[0], labels=Detections.of([[0.1, 1 / 3, 10.7, 20.9]], [2]))
    save_dataset(BoardDataset("one", "test", (pair,)), report, tmp_path / "saved")
    assert load_saved(tmp_path / "saved")[0].pairs[0].labels == pair.labels


def test_the_saved_taxonomy_counts(deeppcb: Path, tmp_path: Path) -> None:
    dataset, report = read_deeppcb(deeppcb)
    other = Taxonomy(tuple(dataclasses.replace(c, name=f"{c.name}-2") for c in DEEPPCB))
    save_dataset(dataclasses.replace(dataset, taxonomy=other), report, tmp_path / "saved")
    assert open_dataset(tmp_path / "saved")[0].taxonomy == other


def test_the_data_hash_tells_what_a_model_would_learn(deeppcb: Path) -> None:
    dataset, _ = read_deeppcb(deeppcb)
    first, *rest = dataset.pairs
    value = data_hash(dataset)
    assert len(value) == 64
    assert data_hash(BoardDataset("other name", "elsewhere", (*rest, first))) == value
    turned = dataclasses.replace(first, labels=first.labels[[1, 0]])
    assert data_hash(BoardDataset("", "", (turned, *rest))) == value
    for change in (
        {"labels": first.labels.shifted(1, 0)},
        {"split": "train"},
        {"reference_path": None},
        {"test_path": rest[0].test_path},
    ):
        assert data_hash(BoardDataset("", "", (dataclasses.replace(first, **change), *rest))) != value
    assert (
        data_hash(
            dataclasses.replace(dataset, taxonomy=Taxonomy((*DEEPPCB, dataclasses.replace(DEEPPCB[0], id=6, name="x"))))
        )
        != value
    )


def test_saving_over_needs_leave_and_swaps_as_a_whole(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, report = load_saved(saved)
    smaller = BoardDataset("smaller", "test", dataset.pairs[:2])
    with pytest.raises(DataError, match="saved: the folder exists already"):
        save_dataset(smaller, report, saved)
    save_dataset(smaller, report, saved, overwrite=True)  # from its own images
    assert sorted(p.name for p in (saved / "images").iterdir()) == ["77000000.png", "77000001.png"]

    def full(*_: object) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "copy_into", full)
    with pytest.raises(DataError, match="saved: cannot be written: No space left on device"):
        save_dataset(smaller, report, saved, overwrite=True)
    assert len(load_saved(saved, verify=True)[0]) == 2
    assert not [p for p in saved.parent.iterdir() if p.suffix == ".tmp"]


def test_a_lost_source_image_is_named_and_nothing_is_left(deeppcb: Path, tmp_path: Path) -> None:
    dataset, report = read_deeppcb(deeppcb)
    dataset.pairs[2].test_path.unlink()
    with pytest.raises(DataError, match=r"92000000_test\.png: the file cannot be read"):
        save_dataset(dataset, report, tmp_path / "saved")
    assert [p.name for p in tmp_path.iterdir()] == ["PCBData"]


def test_a_changed_or_lost_image_is_found(saved: Path) -> None:
    image = saved / "images" / "77000001.png"
    image.write_bytes((saved / "images" / "77000000.png").read_bytes())
    load_saved(saved)
    with pytest.raises(DataError, match=r"77000001\.png: an image was changed after the import"):
        load_saved(saved, verify=True)
    image.unlink()
    with pytest.raises(DataError, match=r"77000001\.png: an image of the data set is missing"):
        load_saved(saved)
    assert len(load_saved(saved, splits=["test"])[0]) == 1


def test_a_split_without_boards_is_an_error(deeppcb: Path, tmp_path: Path) -> None:
    dataset, report = read_deeppcb(deeppcb, splits=["test"])
    save_dataset(dataset, report, tmp_path / "saved")
    with pytest.raises(DataError, match="expected boards in val, found boards only in test"):
        open_dataset(tmp_path / "saved", splits=["val"])


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"format": 1', '"format": 2', "expected data set format 1 or older, found 2"),
        ('"width": 64', '"width": -64', r"damaged one \(pairs.0.width"),
        ('"class_id": 5', '"class_id": 6', "a label's class is not among the classes"),
        ('"name": "deeppcb"', '"name": 3', r"damaged one \(name"),
        ("{", "", r"damaged one \(JSON"),
    ],
)
def test_a_damaged_or_newer_file_is_named(saved: Path, old: str, new: str, problem: str) -> None:
    path = saved / "dataset.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=problem):
        load_saved(saved)


def test_every_layout_is_recognised(deeppcb: Path, saved: Path, tmp_path: Path) -> None:
    dataset, _ = read_deeppcb(deeppcb)
    write_yolo(dataset, tmp_path / "yolo")
    write_coco(dataset, tmp_path / "coco")
    places = [
        saved,
        saved / "dataset.json",
        deeppcb,
        deeppcb.parent,
        tmp_path / "yolo",
        tmp_path / "yolo" / "data.yaml",
        tmp_path / "coco",
    ]
    for place in places:
        opened, report = open_dataset(place)
        assert data_hash(opened) == data_hash(dataset), place
        assert report.accepted == 5
        assert {p.split for p in open_dataset(place, splits=["val"])[0]} == {"val"}, place


def test_what_is_no_data_set_is_told_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    for name in ("dataset.json", "trainval.txt", "test.txt", "data.yaml", "annotations/instances_*.json"):
        assert name in str(caught.value)
    with pytest.raises(DataError, match="found no such folder"):
        open_dataset(tmp_path / "lost")
    (tmp_path / "a.txt").touch()
    with pytest.raises(DataError, match="found a file"):
        open_dataset(tmp_path / "a.txt")


def test_false_calls_are_kept_and_count_in_the_hash(deeppcb: Path, tmp_path: Path) -> None:
    dataset, report = read_deeppcb(deeppcb)
    place = Detections.of([[1.5, 2, 20, 30]], [3])
    first, *others = dataset.pairs
    looked_at = dataclasses.replace(dataset, pairs=(dataclasses.replace(first, false_calls=place), *others))
    save_dataset(looked_at, report, tmp_path / "saved")
    loaded, _ = load_saved(tmp_path / "saved")
    assert loaded.pairs[0].false_calls == place
    assert len(loaded.pairs[1].false_calls) == 0
    assert data_hash(loaded) == data_hash(looked_at) != data_hash(dataset)


def test_which_of_several_data_sets_a_board_is_of_counts_in_the_hash(deeppcb: Path) -> None:
    dataset, _ = read_deeppcb(deeppcb)
    first = dataclasses.replace(dataset, parts=(0,) * (len(dataset) - 1) + (1,))
    second = dataclasses.replace(dataset, parts=(1,) * (len(dataset) - 1) + (0,))
    assert len({data_hash(dataset), data_hash(first), data_hash(second)}) == 3


def test_the_data_sets_of_a_folder_and_what_is_wrong_with_them(saved: Path) -> None:
    for name in ("damaged", ".saved.1234.tmp"):
        (saved.parent / name).mkdir()
        (saved.parent / name / "dataset.json").write_text("{")
    (saved.parent / "empty").mkdir()
    found = saved_datasets(saved.parent)
    assert list(found) == [saved.parent / "damaged", saved]
    assert isinstance(found[saved.parent / "damaged"], DataError)
    assert found[saved] == saved_dataset(saved)
    assert saved_datasets(saved.parent / "none") == {}
    splits = splits_of_images(saved)
    assert len(splits) == len(load_saved(saved)[0])
