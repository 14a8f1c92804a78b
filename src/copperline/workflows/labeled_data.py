"""The table `pcb_labeled_data` as a data set on disk, for training where there is a warehouse but no files.

`copperline data import` fills the table.
"""

from __future__ import annotations

import io
from pathlib import Path

from sqlalchemy import Engine

from copperline.data import BoardDataset, BoardPair
from copperline.data.images import image_size
from copperline.data.pairs import SPLITS
from copperline.errors import DataError
from copperline.files import file_name
from copperline.taxonomy import DEEPPCB, Taxonomy
from copperline.warehouse import LabeledBoard, parse_label_text, place, read_labeled_boards


def dataset_from_warehouse(engine: Engine, folder: Path, taxonomy: Taxonomy = DEEPPCB) -> BoardDataset:
    """Writes the images of all labelled boards below `folder`, as they were taken in, and gives the data set of them.

    A board's id is its file's name without the ending. Written again into the same folder, the files are replaced.

    Args:
        folder: gets `images/` and `references/`.
        taxonomy: of the labels' classes.

    Raises:
        DataError: the table is empty, or a row of it has a wrong label, split, image or name; the row is named.
        WarehouseError: the table cannot be read.
    """
    for name in ("images", "references"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    pairs = tuple(_pair(board, folder, taxonomy) for board in read_labeled_boards(engine))
    if not pairs:
        raise DataError(
            "expected labelled boards in the table pcb_labeled_data, found none",
            where=place(engine.url),
            fix="run `copperline data import` with this warehouse",
        )
    return BoardDataset(name="pcb_labeled_data", source=place(engine.url), pairs=pairs, taxonomy=taxonomy)


def _pair(board: LabeledBoard, folder: Path, taxonomy: Taxonomy) -> BoardPair:
    where = f"pcb_labeled_data, {board.filename}"
    if board.split not in SPLITS:
        raise DataError(
            f"expected a split of {', '.join(SPLITS)}, found {board.split!r}", where=where, fix="correct the row"
        )
    name = file_name(board.filename, "")
    width, height = image_size(io.BytesIO(board.image_bytes), where)
    test = folder / "images" / name
    test.write_bytes(board.image_bytes)
    reference = None
    if board.reference_bytes is not None:
        reference = folder / "references" / name
        reference.write_bytes(board.reference_bytes)
    return BoardPair(
        board_id=test.stem,
        board_group=board.board_group or test.stem,
        split=board.split,
        test_path=test,
        reference_path=reference,
        labels=parse_label_text(board.label_text, width, height, taxonomy, where),
        width=width,
        height=height,
    )
