import hashlib
import re
from pathlib import Path

import cv2
import pytest

from copperline.data.synthetic import write_synthetic_dataset
from copperline.errors import DataError, SettingsError


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic") / "boards"
    write_synthetic_dataset(folder, train=12, test=6, seed=3, size=128, processes=1)
    return folder


def lines(folder: Path, split: str) -> list[str]:
    return (folder / f"{split}.txt").read_text(encoding="ascii").splitlines()


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_layout_is_that_of_deeppcb(dataset: Path) -> None:
    assert (len(lines(dataset, "trainval")), len(lines(dataset, "test"))) == (12, 6)
    for line in lines(dataset, "trainval") + lines(dataset, "test"):
        found = re.fullmatch(r"group(\d{5})/\1/(\1\d{3})\.jpg group\1/\1_not/\2\.txt", line)
        assert found, line
        image, annotation = line.split()
        for suffix in ("_test.jpg", "_temp.jpg"):
            pixels = cv2.imread(str(dataset / image.replace(".jpg", suffix)), cv2.IMREAD_UNCHANGED)
            assert pixels is not None
            assert pixels.shape == (128, 128)
        for row in (dataset / annotation).read_text(encoding="ascii").splitlines():
            x1, y1, x2, y2, class_number = (int(v) for v in row.split(" "))
            assert 0 <= x1 < x2 <= 128
            assert 0 <= y1 < y2 <= 128
            assert 1 <= class_number <= 6


def test_no_test_board_is_a_training_board_and_half_the_products_are_new(dataset: Path) -> None:
    train, test = lines(dataset, "trainval"), lines(dataset, "test")
    assert not set(train) & set(test)
    train_groups, test_groups = ({line.split("/")[0] for line in split} for split in (train, test))
    assert len(train_groups) == 3
    assert sum(line.split("/")[0] in train_groups for line in test) == 3
    assert test_groups - train_groups
    pictures = [hash_ for name, hash_ in digest(dataset).items() if name.endswith("_test.jpg")]
    assert len(set(pictures)) == 18


def test_each_split_has_a_good_board_with_an_empty_annotation(dataset: Path) -> None:
    for split in ("trainval", "test"):
        sizes = [(dataset / line.split()[1]).stat().st_size for line in lines(dataset, split)]
        assert sizes.count(0) >= 1
        assert max(sizes) > 0


def test_the_bytes_depend_on_the_seed_alone(dataset: Path, tmp_path: Path) -> None:
    write_synthetic_dataset(tmp_path / "two", train=12, test=6, seed=3, size=128, processes=2)
    assert digest(tmp_path / "two") == digest(dataset)
    write_synthetic_dataset(tmp_path / "other", train=1, test=1, seed=4, size=128, processes=1)
    assert not set(digest(tmp_path / "other").values()) & {
        hash_ for name, hash_ in digest(dataset).items() if name.endswith(".jpg")
    }


def test_an_existing_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "keep").write_text("mine")
    with pytest.raises(DataError, match="does not exist yet"):
        write_synthetic_dataset(tmp_path, train=1, test=1)
    assert [path.name for path in tmp_path.iterdir()] == ["keep"]


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(done: int, _: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_synthetic_dataset(tmp_path / "new", train=4, test=1, size=96, processes=1, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_to_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_synthetic_dataset(
        tmp_path / "a" / "b", train=3, test=2, size=96, processes=1, progress=lambda *done: seen.append(done)
    )
    assert seen == [(i, 5) for i in range(1, 6)]


def test_wrong_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="train >= 1"):
        write_synthetic_dataset(tmp_path / "new", train=0)
    with pytest.raises(DataError, match="at least 64 px"):
        write_synthetic_dataset(tmp_path / "new", train=1, test=1, size=32, processes=1)
    assert list(tmp_path.iterdir()) == []
