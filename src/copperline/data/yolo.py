"""YOLO's layout, with references beside.

data.yaml                   names of the classes, folders of the splits
images/{split}/ID.ext       test images
labels/{split}/ID.txt       lines `class x y width height`: centre and size as fractions of the image, classes from 0
references/{split}/ID.ext   references; they never have a label file
boards.csv                  group of each board (Copperline's own; may be absent)
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import yaml  # type: ignore[import-untyped,unused-ignore]

from copperline.data.assembly import Candidate, assemble
from copperline.data.images import IMAGE_SUFFIXES
from copperline.data.labels import LabelRow, class_ids_by_name, class_index, read_numbers
from copperline.data.pairs import SPLITS, BoardDataset, BoardPair, Split
from copperline.data.report import ImportReport
from copperline.errors import DataError
from copperline.files import atomic_folder, copy_into, file_name
from copperline.taxonomy import DEEPPCB, Taxonomy

DATA_FILE = "data.yaml"
BOARDS_FILE = "boards.csv"


def write_yolo(dataset: BoardDataset, folder: str | Path, *, overwrite: bool = False) -> Path:
    """Copies the images and writes the labels; gives the path of data.yaml.

    Fractions have ten significant digits, so a box comes back to within 1e-6 px. Raises DataError if the folder
    exists (unless `overwrite` and it is a YOLO folder), cannot be written, or an image is gone.
    """
    folder = Path(folder)
    with atomic_folder(folder, overwrite=overwrite, marker=DATA_FILE) as temporary:
        for pair in dataset:
            test_name = file_name(pair.board_id, pair.test_path.suffix)
            copy_into(pair.test_path, temporary / "images" / pair.split / test_name)
            if pair.reference_path is not None:
                reference_name = file_name(pair.board_id, pair.reference_path.suffix)
                copy_into(pair.reference_path, temporary / "references" / pair.split / reference_name)
            labels = temporary / "labels" / pair.split / f"{pair.board_id}.txt"
            labels.parent.mkdir(parents=True, exist_ok=True)
            labels.write_text(yolo_text(pair), encoding="utf-8")
        present = [split for split in SPLITS if any(pair.split == split for pair in dataset)]
        content = {split: f"images/{split}" for split in present} | {"names": dict(enumerate(dataset.taxonomy.names))}
        (temporary / DATA_FILE).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        with (temporary / BOARDS_FILE).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows(
                [("board_id", "board_group"), *((pair.board_id, pair.board_group) for pair in dataset)]
            )
    return folder / DATA_FILE


def yolo_text(pair: BoardPair) -> str:
    """The labels of one board as YOLO lines; empty for a board without defects."""
    size = (pair.width, pair.height)
    lines = []
    for class_id, box in zip(pair.labels.class_ids, pair.labels.boxes.astype(float), strict=True):
        centre = (box[:2] + box[2:]) / 2 / size
        extent = (box[2:] - box[:2]) / size
        lines.append(f"{class_id} " + " ".join(f"{value:.10g}" for value in (*centre, *extent)) + "\n")
    return "".join(lines)


def read_yolo(
    folder: str | Path, taxonomy: Taxonomy = DEEPPCB, *, splits: Collection[Split] | None = None
) -> tuple[BoardDataset, ImportReport]:
    """Reads a folder with data.yaml, also one without references.

    The file's class names are matched to the taxonomy by name, so their order may differ. Each image must have a
    label file, an empty one if it has no defects: a lost label file would pass for a good board.

    Args:
        splits: read these alone; the result is the same as that part of a full reading.

    Returns:
        Pairs in the order of train, val, test and of their file names, and the account of what was skipped.

    Raises:
        DataError: no usable data.yaml, classes that the taxonomy has not, or not one usable board.
    """
    folder = Path(folder)
    content = _read_data_file(folder / DATA_FILE)
    class_ids = class_ids_by_name(_names(content, folder / DATA_FILE), taxonomy, folder / DATA_FILE)
    groups = _read_groups(folder / BOARDS_FILE)
    candidates = []
    for split in SPLITS:
        if content.get(split) is None:
            continue
        images = _image_folder(folder, content, split)
        references = {p.stem: p for p in _images_in(folder / "references" / split)}
        candidates += [
            Candidate(
                board_id=image.stem,
                board_group=groups.get(image.stem, image.stem),
                split=split,
                test_path=image,
                reference_path=references.get(image.stem),
                read_labels=partial(_read_labels, _label_path(image), class_ids),
            )
            for image in _images_in(images)
        ]
    return assemble(candidates, name=folder.resolve().name, source=folder, taxonomy=taxonomy, splits=splits)


def _read_data_file(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"the file cannot be read ({error.strerror})", where=path, fix="check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError("expected YAML, found something else", where=path, fix="correct the file") from error
    if not isinstance(content, dict):
        raise DataError("expected a mapping with names and splits", where=path, fix="correct the file")
    return content


def _names(content: dict[str, Any], path: Path) -> list[str]:
    names = content.get("names")
    if isinstance(names, dict) and sorted(names) == list(range(len(names))):
        names = [names[i] for i in range(len(names))]
    if not isinstance(names, list) or not names:
        raise DataError(
            "expected `names`: a list of class names, or a mapping from 0, 1, ...", where=path, fix="correct the file"
        )
    return [str(name) for name in names]


def _image_folder(folder: Path, content: dict[str, Any], split: Split) -> Path:
    """The split's images: relative to `path` of data.yaml if that exists here, else to data.yaml itself."""
    stated = content[split]
    if not isinstance(stated, str):
        raise DataError(
            f"expected one folder of images for {split}, found {stated!r}", where=folder / DATA_FILE, fix="name one"
        )
    # Exports of labelling services are often one level off: `../train/images` for `train/images`.
    inside = PurePosixPath(*(part for part in PurePosixPath(stated).parts if part != ".."))
    for base in (folder / str(content.get("path") or "."), folder):
        for relative in (PurePosixPath(stated), inside):
            if (base / relative).is_dir():
                return base / relative
    raise DataError(
        f"expected the images of {split} in {stated}, found no such folder", where=folder / DATA_FILE, fix="correct it"
    )


def _images_in(folder: Path) -> Iterator[Path]:
    """By file name; nothing if there is no such folder."""
    if folder.is_dir():
        yield from sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)


def _label_path(image: Path) -> Path:
    """The last `images` folder in the path replaced by `labels`."""
    parts = list(image.parent.parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return Path(*parts) / f"{image.stem}.txt"


def _read_labels(path: Path, class_ids: Sequence[int], width: int, height: int) -> list[LabelRow]:
    if not path.is_file():
        raise DataError("expected a label file, found none", where=path, fix="make an empty one if it has no defects")
    rows = []
    for line, (number, x, y, box_width, box_height) in read_numbers(path, "class x y width height", 5):
        row_class = class_ids[class_index(number, 0, len(class_ids), path, line)]
        box = (
            (x - box_width / 2) * width,
            (y - box_height / 2) * height,
            (x + box_width / 2) * width,
            (y + box_height / 2) * height,
        )
        rows.append(LabelRow(row_class, box, path, line))
    return rows


def _read_groups(path: Path) -> dict[str, str]:
    """Group of each board; without the file each board is a group of its own."""
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"expected a readable CSV file ({error})", where=path, fix="correct or remove it") from error
    if any(len(row) != 2 for row in rows):
        raise DataError("expected two columns, board_id and board_group", where=path, fix="correct or remove the file")
    return dict(rows[1:])
