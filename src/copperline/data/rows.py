"""Labelled boards as rows of the table `pcb_labeled_data`, written out as a YOLO folder that `read_yolo` reads.

The rows come from the warehouse, or from data frames where Snowflake gives these.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any

import yaml  # type: ignore[import-untyped,unused-ignore]

from copperline.data.images import IMAGE_SUFFIXES
from copperline.data.pairs import SPLITS, BoardDataset
from copperline.data.report import ImportReport
from copperline.data.yolo import BOARDS_FILE, DATA_FILE, read_yolo
from copperline.errors import DataError
from copperline.files import atomic_folder, file_name
from copperline.labeled_board import COLUMNS, TABLE, LabeledBoard, row_of
from copperline.taxonomy import Taxonomy


def rows_of_frame(frame: Any) -> list[LabeledBoard]:
    """The rows of a pandas data frame, whose columns may be in any case, as Snowflake gives them.

    Raises:
        DataError: a column is missing, or a value is of another type.
    """
    columns = {str(name).strip('"').lower(): name for name in frame.columns}
    if missing := [name for name in COLUMNS if name not in columns]:
        raise DataError(
            f"expected the columns {', '.join(COLUMNS)}, found no {missing[0]}",
            where=TABLE,
            fix="write the table with `copperline data import`",
        )
    ordered = frame[[columns[name] for name in COLUMNS]]
    return [row_of(values) for values in ordered.itertuples(index=False, name=None)]


def write_board_rows(rows: Iterable[LabeledBoard], folder: Path, taxonomy: Taxonomy, *, overwrite: bool = False) -> int:
    """Writes the rows as a YOLO data set folder, which appears whole or not at all, and returns how many there were.

    Nothing is read twice and nothing is kept in memory but file names, so the rows may be a generator.

    Raises:
        DataError: a file name is none, two boards have one id, a split is unknown, or the folder cannot be written or
            exists (unless `overwrite` and it is a YOLO folder).
    """
    groups: dict[str, str] = {}
    present = set()
    with atomic_folder(folder, overwrite=overwrite, marker=DATA_FILE) as temporary:
        for row in rows:
            if row.board_id in groups:
                raise DataError(
                    f"expected each board once, found {row.board_id} twice", where=TABLE, fix="remove one of the rows"
                )
            _write_row(row, temporary)
            groups[row.board_id] = row.board_group or row.board_id
            present.add(row.split)
        splits = {split: f"images/{split}" for split in SPLITS if split in present}
        content = splits | {"names": dict(enumerate(taxonomy.names))}
        (temporary / DATA_FILE).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        with (temporary / BOARDS_FILE).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([("board_id", "board_group"), *groups.items()])
    return len(groups)


def dataset_of_rows(
    rows: Iterable[LabeledBoard], folder: Path, taxonomy: Taxonomy, *, overwrite: bool = False
) -> tuple[BoardDataset, ImportReport]:
    """The rows as a data set whose images lie in `folder`, and the account of the boards that were left out.

    Raises:
        DataError: as `write_board_rows` and `read_yolo`; there are no rows.
    """
    if write_board_rows(rows, folder, taxonomy, overwrite=overwrite) == 0:
        raise DataError(
            "expected labelled boards, found none",
            where=TABLE,
            fix="fill the table with `copperline data import`, with boards of the splits train and val",
        )
    return read_yolo(folder, taxonomy)


def _write_row(row: LabeledBoard, folder: Path) -> None:
    suffix = PurePath(row.filename).suffix
    name = file_name(row.board_id, suffix)
    if name != row.filename or suffix.lower() not in IMAGE_SUFFIXES:
        raise DataError(
            f"expected the file name of an image, found {row.filename!r}", where=TABLE, fix="correct the row"
        )
    if row.split not in SPLITS:
        raise DataError(
            f"expected a split out of {', '.join(SPLITS)}, found {row.split!r}",
            where=f"{TABLE}, {row.filename}",
            fix="correct the row",
        )
    files = {f"images/{row.split}/{name}": row.image_bytes}
    files[f"labels/{row.split}/{row.board_id}.txt"] = row.label_text.encode()
    if row.reference_bytes is not None:
        # Images are known by their content, not by their suffix.
        files[f"references/{row.split}/{name}"] = row.reference_bytes
    for relative, content in files.items():
        path = folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
