"""Golden boards alone: references without test images and without labels, to train on where no defect is labelled.

No label file and no test image is opened. Read are, in this order of trial:

DeepPCB's layout    the references `ID_temp.jpg` that trainval.txt names; test.txt is left alone
a folder of images  each is one golden board, as in a golden library; files may lie in subfolders. Images named
                    `ID_test`, which is how inspected boards are named beside their reference, are left out
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from copperline.data.coco import ANNOTATIONS
from copperline.data.deeppcb import TRAINVAL_LIST, find_deeppcb, trainval_references
from copperline.data.images import IMAGE_SUFFIXES, Image, read_grey, sha256_of
from copperline.data.pairs import BoardDataset, BoardPair, Split
from copperline.data.report import ImportReport, SkippedBoard
from copperline.data.splits import split_boards
from copperline.data.store import DATASET_FILE
from copperline.data.synthetic.defects import SMALLEST_SIDE
from copperline.data.yolo import DATA_FILE
from copperline.detections import Detections
from copperline.errors import DataError
from copperline.files import file_name
from copperline.taxonomy import DEEPPCB, Taxonomy

# Of the pixels, copper and laminate each: with less there is nothing that could be cut, bridged or bitten.
LEAST_SHARE = 0.001


@dataclass(frozen=True, slots=True)
class GoldenBoard:
    """A reference as it is listed, before it is read."""

    board_id: str
    board_group: str
    path: Path


def read_golden(
    path: str | Path, taxonomy: Taxonomy = DEEPPCB, val_fraction: float = 0.15
) -> tuple[BoardDataset, ImportReport]:
    """Reads golden boards.

    Boards are split into `train` and `val` by board group, as labelled ones are (see `assign_splits`). The group is
    the first folder in DeepPCB's list, or the first subfolder; an image right in the folder is a group of its own.
    If all boards are of one group they are split one by one, and the report says so.

    Args:
        path: a folder in DeepPCB's layout (or a checkout with it in `PCBData`), or a folder of images.
        taxonomy: the classes that are going to be drawn.
        val_fraction: expected share of the groups in `val`.

    Returns:
        Pairs whose test image is the reference itself, without labels, in the order of the list or of the names; and
        an account of those that were left out because there is nothing to draw on, or because their image came
        before. Images may differ in size.

    Raises:
        DataError: no golden boards there, an image that cannot be read, or fewer than two usable boards.
    """
    folder = Path(path)
    deeppcb = find_deeppcb(folder)
    boards = _in_folder(folder) if deeppcb is None else [GoldenBoard(*row) for row in trainval_references(deeppcb)]
    splits, by_board = split_boards([(board.board_id, board.board_group) for board in boards], val_fraction)
    notes = ["all references are of one group, so validation was split off by board, not by group"] if by_board else []
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:  # OpenCV decodes without the GIL
        outcomes = list(pool.map(_check, boards, splits))
    skipped = [outcome for outcome in outcomes if isinstance(outcome, SkippedBoard)]
    usable = [outcome for outcome in outcomes if not isinstance(outcome, SkippedBoard)]
    pairs, duplicates = _without_repeats(usable)
    if {pair.split for pair in pairs} != {"train", "val"}:
        left_out = f", {len(boards) - len(pairs)} left out" if len(pairs) < len(boards) else ""
        raise DataError(
            f"expected golden boards to train and others to validate on, found {len(pairs)} usable{left_out}"
            + (f" (first: {skipped[0].reason})" if skipped else ""),
            where=folder,
            fix="add golden images, of more than one product if there are any",
        )
    dataset = BoardDataset(f"{folder.resolve().name}, references alone", str(folder), tuple(pairs), taxonomy)
    return dataset, ImportReport.of(dataset, skipped=skipped, duplicates=duplicates, notes=notes)


def is_golden(pair: BoardPair) -> bool:
    """Whether the pair is a reference alone, which stands for its test image too."""
    return pair.test_path == pair.reference_path


def _in_folder(folder: Path) -> list[GoldenBoard]:
    _refuse_labelled(folder)
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))
    boards = []
    seen: dict[str, Path] = {}
    for path in paths:
        if path.stem.endswith("_test"):
            continue
        parts = path.relative_to(folder).with_suffix("").parts
        board_id = "-".join(parts)
        if board_id in seen:
            raise DataError(
                f"expected one golden image for {board_id!r}, found {seen[board_id]} too",
                where=path,
                fix="keep one of them",
            )
        seen[board_id] = path
        boards.append(GoldenBoard(board_id, parts[0], path))
    if not boards:
        raise DataError(
            f"expected golden images ({', '.join(sorted(IMAGE_SUFFIXES))}) or DeepPCB's {TRAINVAL_LIST}, found "
            + ("neither" if folder.is_dir() else "a file" if folder.exists() else "no such folder"),
            where=folder,
            fix="give the folder that holds the references",
        )
    return boards


def _refuse_labelled(folder: Path) -> None:
    """In these layouts nothing tells a reference from a test image but the files that also hold the labels."""
    for marker in (DATASET_FILE, DATA_FILE, ANNOTATIONS):
        if (folder / marker).exists():
            raise DataError(
                f"expected golden images alone, found a labelled data set ({marker})",
                where=folder,
                fix="give a folder with its references alone, or train on it with --data",
            )


def _check(board: GoldenBoard, split: Split) -> tuple[BoardPair, str] | SkippedBoard:
    """The board and its image's SHA-256; one without anything to draw on is left out, a damaged one is an error."""
    file_name(board.board_id, board.path.suffix)
    image = read_grey(board.path, bare_ok=True)
    reason = _unfit(image)
    if reason is not None:
        return SkippedBoard(board=board.board_id, reason=reason)
    height, width = image.shape
    pair = BoardPair(
        board_id=board.board_id,
        board_group=board.board_group,
        split=split,
        test_path=board.path,
        reference_path=board.path,
        labels=Detections.empty(),
        width=width,
        height=height,
    )
    return pair, sha256_of(board.path)


def _unfit(image: Image) -> str | None:
    """Why no defects can be drawn into it, or None."""
    if min(image.shape) < SMALLEST_SIDE:
        return f"has {image.shape[1]} x {image.shape[0]} px, less than {SMALLEST_SIDE} px a side"
    copper = float((image < 128).mean())
    if copper < LEAST_SHARE:
        return f"has next to no copper ({100 * copper:.2f} % of the pixels are darker than 128)"
    if 1 - copper < LEAST_SHARE:
        return f"has next to no laminate ({100 * (1 - copper):.2f} % of the pixels are 128 or brighter)"
    return None


def _without_repeats(usable: Sequence[tuple[BoardPair, str]]) -> tuple[list[BoardPair], list[str]]:
    """Each image once, so that none is in train and in val: in val, if it is in both."""
    keepers: dict[str, BoardPair] = {}
    for pair, fingerprint in usable:
        first = keepers.setdefault(fingerprint, pair)
        if first.split == "train" and pair.split == "val":
            keepers[fingerprint] = pair
    messages = [
        f"boards {keepers[fingerprint].board_id} and {pair.board_id} have the same image; kept once, in "
        f"{keepers[fingerprint].split}"
        for pair, fingerprint in usable
        if pair is not keepers[fingerprint]
    ]
    return [pair for pair, fingerprint in usable if pair is keepers[fingerprint]], messages
