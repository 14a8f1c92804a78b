"""Copperline's own data set folder, and the one door to every layout.

dataset.json        name, source, taxonomy, pairs with labels and SHA-256, the import report, the data hash
images/ID.ext       test images
references/ID.ext   references
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from copperline.data.coco import ANNOTATIONS, instances_path, read_coco
from copperline.data.deeppcb import TEST_LIST, TRAINVAL_LIST, find_deeppcb, read_deeppcb
from copperline.data.images import sha256_of
from copperline.data.pairs import SPLITS, BoardDataset, BoardPair, Split
from copperline.data.report import ImportReport
from copperline.data.yolo import DATA_FILE, read_yolo
from copperline.detections import Detections
from copperline.errors import DataError
from copperline.files import atomic_folder, copy_into, file_name
from copperline.model_info import ClassInfo, ModelInfo
from copperline.taxonomy import DEEPPCB, DefectClass, Taxonomy

DATASET_FILE = "dataset.json"
FORMAT = 1


class _StoredLabel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    class_id: int = Field(ge=0)
    box: tuple[float, float, float, float]


class _StoredPair(BaseModel):
    """Paths are relative to the folder, with `/`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    board_id: str
    board_group: str
    split: Split
    image: str
    image_sha256: str
    reference: str | None
    reference_sha256: str | None
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    labels: tuple[_StoredLabel, ...]
    false_calls: tuple[_StoredLabel, ...] = ()


class _StoredDataset(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    name: str
    source: str
    data_hash: str
    classes: tuple[ClassInfo, ...] = Field(min_length=1)
    pairs: tuple[_StoredPair, ...]
    report: ImportReport


@dataclass(frozen=True, slots=True)
class SavedDataset:
    """What the dataset.json of a saved data set says, without a look at its images.

    Attributes:
        name: of its folder.
        folder: where it lies.
        source: where it was imported from.
        data_hash: of its content when it was saved, see `data_hash`.
        classes: names in class-id order.
        boards: split -> boards; splits without boards are left out.
        report: the account of its import: boards and labels by split, what was skipped and why.
    """

    name: str
    folder: Path
    source: str
    data_hash: str
    classes: tuple[str, ...]
    boards: dict[Split, int]
    report: ImportReport


def saved_dataset(folder: str | Path) -> SavedDataset:
    """Raises DataError if there is none in `folder`, or a damaged or newer one."""
    folder = Path(folder)
    stored = _read_stored(folder / DATASET_FILE)
    counts = Counter(pair.split for pair in stored.pairs)
    return SavedDataset(
        name=folder.name,
        folder=folder,
        source=stored.source,
        data_hash=stored.data_hash,
        classes=tuple(c.name for c in stored.classes),
        boards={split: counts[split] for split in SPLITS if counts[split]},
        report=stored.report,
    )


def saved_datasets(folder: Path) -> dict[Path, SavedDataset | DataError]:
    """The folder of each data set that was saved below `folder`, by name -> what it is, or why it cannot be read.

    Empty without the folder. What is just being written is not there yet.
    """
    found: dict[Path, SavedDataset | DataError] = {}
    for file in sorted(folder.glob(f"*/{DATASET_FILE}")):
        if not file.parent.name.startswith("."):
            try:
                found[file.parent] = saved_dataset(file.parent)
            except DataError as fault:
                found[file.parent] = fault
    return found


def splits_of_images(folder: str | Path) -> dict[str, Split]:
    """SHA-256 of each test image of a saved data set -> its split; raises DataError as `saved_dataset`."""
    return {pair.image_sha256: pair.split for pair in _read_stored(Path(folder) / DATASET_FILE).pairs}


def save_dataset(
    dataset: BoardDataset, report: ImportReport, folder: str | Path, *, overwrite: bool = False
) -> BoardDataset:
    """Copies images and references into `folder` and writes dataset.json; gives the data set as it now lies there.

    The folder appears whole or not at all. Raises DataError if it exists already (unless `overwrite` and it is a
    saved data set, which is then swapped), if it cannot be written (disk full, read-only), or an image is gone.
    """
    folder = Path(folder)
    with atomic_folder(folder, overwrite=overwrite, marker=DATASET_FILE) as temporary:
        pairs = tuple(_store_pair(pair, temporary) for pair in dataset)
        stored = _StoredDataset(
            name=dataset.name,
            source=dataset.source,
            data_hash=_hash_of(
                zip(dataset, ((p.image_sha256, p.reference_sha256) for p in pairs), strict=True), dataset
            ),
            classes=ModelInfo.class_infos(dataset.taxonomy),
            pairs=pairs,
            report=report,
        )
        (temporary / DATASET_FILE).write_text(stored.model_dump_json(indent=1), encoding="utf-8")
    return BoardDataset(dataset.name, dataset.source, tuple(_pair(p, folder) for p in pairs), dataset.taxonomy)


def load_saved(
    folder: str | Path, *, splits: Collection[Split] | None = None, verify: bool = False
) -> tuple[BoardDataset, ImportReport]:
    """Opens a folder that `save_dataset` made.

    Args:
        splits: these alone; None is all.
        verify: also compare the SHA-256 of every file (reads them all).

    Returns:
        The data set, with the taxonomy that it was saved with, and the report of its import.

    Raises:
        DataError: dataset.json is missing, damaged or too new; an image is missing or, with `verify`, was changed.
    """
    folder = Path(folder)
    path = folder / DATASET_FILE
    stored = _read_stored(path)
    taxonomy = Taxonomy(tuple(DefectClass(i, c.name, c.severity, c.colour) for i, c in enumerate(stored.classes)))
    wanted = [p for p in stored.pairs if splits is None or p.split in splits]
    if not wanted:
        have = sorted({p.split for p in stored.pairs})
        raise DataError(
            f"expected boards in {', '.join(splits or SPLITS)}, found boards only in {', '.join(have) or 'no split'}",
            where=path,
            fix="choose another split or import a data set that has it",
        )
    if any(label.class_id >= len(taxonomy) for p in wanted for label in (*p.labels, *p.false_calls)):
        raise DataError("a label's class is not among the classes", where=path, fix="import the data set again")
    for pair in wanted:
        _require_files(pair, folder, verify)
    dataset = BoardDataset(stored.name, stored.source, tuple(_pair(p, folder) for p in wanted), taxonomy)
    return dataset, stored.report


def open_dataset(
    path: str | Path,
    *,
    splits: Collection[Split] | None = None,
    taxonomy: Taxonomy = DEEPPCB,
    val_fraction: float = 0.15,
) -> tuple[BoardDataset, ImportReport]:
    """Reads a data set in whichever layout it is in.

    Looked for in this order: dataset.json (saved by Copperline; its own taxonomy counts), trainval.txt or test.txt
    (DeepPCB, also in `PCBData` below), data.yaml (YOLO), annotations/instances_*.json (COCO).

    Args:
        path: the folder, or its dataset.json or data.yaml.
        splits: read these alone, so that evaluating `test` decodes no training image.
        taxonomy: the classes of the labels.
        val_fraction: for DeepPCB's layout, which has no validation list.

    Raises:
        DataError: none of these is there, or reading fails.
    """
    path = Path(path)
    folder = path.parent if path.name in (DATASET_FILE, DATA_FILE) and path.is_file() else path
    if (folder / DATASET_FILE).is_file():
        return load_saved(folder, splits=splits)
    if find_deeppcb(folder) is not None:
        return read_deeppcb(folder, taxonomy, val_fraction, splits=splits)
    if (folder / DATA_FILE).is_file():
        return read_yolo(folder, taxonomy, splits=splits)
    if any(instances_path(folder, split).is_file() for split in SPLITS):
        return read_coco(folder, taxonomy, splits=splits)
    raise DataError(
        f"expected a data set: {DATASET_FILE} (Copperline), {TRAINVAL_LIST} or {TEST_LIST} (DeepPCB), {DATA_FILE} "
        f"(YOLO) or {ANNOTATIONS}/instances_*.json (COCO), found "
        + ("none of them" if folder.is_dir() else "a file" if folder.exists() else "no such folder"),
        where=path,
        fix="give the folder that holds one of these",
    )


def data_hash(dataset: BoardDataset) -> str:
    """Hexadecimal SHA-256 of what a model learns from: class names, and each board's id, split, image bytes,
    reference bytes, labels and false calls to 0.01 px, and which of several data sets it is of. Neither paths nor the
    order of boards and labels change it.
    """
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        digests = list(pool.map(_digests, dataset))
    return _hash_of(zip(dataset, digests, strict=True), dataset)


def _digests(pair: BoardPair) -> tuple[str, str | None]:
    return sha256_of(pair.test_path), None if pair.reference_path is None else sha256_of(pair.reference_path)


def _hash_of(digested: Iterable[tuple[BoardPair, tuple[str, str | None]]], dataset: BoardDataset) -> str:
    parts: Sequence[int | None] = dataset.parts or (None,) * len(dataset)
    lines = sorted(
        json.dumps(_learned(pair, digests, part)) for (pair, digests), part in zip(digested, parts, strict=True)
    )
    return hashlib.sha256("\n".join([json.dumps(dataset.taxonomy.names), *lines]).encode()).hexdigest()


def _learned(pair: BoardPair, digests: tuple[str, str | None], part: int | None) -> list[object]:
    """What a model learns from a board. What is not there is left out, as in hashes from before there was any."""
    labels, false_calls = (_label_lines(each) for each in (pair.labels, pair.false_calls))
    learned: list[object] = [pair.board_id, pair.split, *digests, labels]
    return learned + ([false_calls] if false_calls else []) + ([] if part is None else [part])


def _label_lines(labels: Detections) -> list[str]:
    return sorted(
        f"{class_id} " + " ".join(f"{value:.2f}" for value in box)
        for class_id, box in zip(labels.class_ids, np.round(labels.boxes.astype(float), 2) + 0.0, strict=True)
    )


def _store_pair(pair: BoardPair, folder: Path) -> _StoredPair:
    image = f"images/{file_name(pair.board_id, pair.test_path.suffix)}"
    image_bytes = copy_into(pair.test_path, folder / image)
    reference = reference_sha256 = None
    if pair.reference_path is not None:
        reference = f"references/{file_name(pair.board_id, pair.reference_path.suffix)}"
        reference_sha256 = hashlib.sha256(copy_into(pair.reference_path, folder / reference)).hexdigest()
    return _StoredPair(
        board_id=pair.board_id,
        board_group=pair.board_group,
        split=pair.split,
        image=image,
        image_sha256=hashlib.sha256(image_bytes).hexdigest(),
        reference=reference,
        reference_sha256=reference_sha256,
        width=pair.width,
        height=pair.height,
        labels=_stored(pair.labels),
        false_calls=_stored(pair.false_calls),
    )


def _stored(labels: Detections) -> tuple[_StoredLabel, ...]:
    return tuple(
        _StoredLabel(class_id=int(class_id), box=tuple(box))
        for class_id, box in zip(labels.class_ids, labels.boxes.astype(float).tolist(), strict=True)
    )


def _labels(stored: tuple[_StoredLabel, ...]) -> Detections:
    return Detections.of([label.box for label in stored], [label.class_id for label in stored])


def _read_stored(path: Path) -> _StoredDataset:
    try:
        stored = _StoredDataset.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"the file cannot be read ({error.strerror})", where=path, fix="check the path") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "JSON"
        raise DataError(
            f"expected a data set of format {FORMAT}, found a damaged one ({place}: {first['msg']})",
            where=path,
            fix="import the data set again",
        ) from error
    if stored.format > FORMAT:
        raise DataError(
            f"expected data set format {FORMAT} or older, found {stored.format}", where=path, fix="update Copperline"
        )
    return stored


def _require_files(pair: _StoredPair, folder: Path, verify: bool) -> None:
    for name, expected in ((pair.image, pair.image_sha256), (pair.reference, pair.reference_sha256)):
        if name is None:
            continue
        if not (folder / name).is_file():
            raise DataError("an image of the data set is missing", where=folder / name, fix="import it again")
        if verify and sha256_of(folder / name) != expected:
            raise DataError("an image was changed after the import", where=folder / name, fix="import it again")


def _pair(stored: _StoredPair, folder: Path) -> BoardPair:
    return BoardPair(
        board_id=stored.board_id,
        board_group=stored.board_group,
        split=stored.split,
        test_path=folder / stored.image,
        reference_path=None if stored.reference is None else folder / stored.reference,
        labels=_labels(stored.labels),
        width=stored.width,
        height=stored.height,
        false_calls=_labels(stored.false_calls),
    )
