"""DeepPCB's layout (Tang et al., 2019, https://github.com/tangsanli5201/DeepPCB).

trainval.txt, test.txt      lines `group20085/20085/20085000.jpg group20085/20085_not/20085000.txt`
group20085/20085/           20085000_test.jpg (may have defects), 20085000_temp.jpg (reference)
group20085/20085_not/       20085000.txt: lines `x1 y1 x2 y2 class`, pixels, classes from 1
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from copperline.data.assembly import Candidate, assemble, skip
from copperline.data.labels import LabelRow, class_index, read_lines, read_numbers
from copperline.data.pairs import BoardDataset, Split
from copperline.data.report import ImportReport, SkippedBoard
from copperline.data.splits import split_boards
from copperline.errors import DataError
from copperline.taxonomy import DEEPPCB, Taxonomy

TRAINVAL_LIST = "trainval.txt"
TEST_LIST = "test.txt"


def find_deeppcb(folder: Path) -> Path | None:
    """The folder that holds the lists: `folder` itself, its `PCBData` (a checkout of DeepPCB), or None."""
    for root in (folder, folder / "PCBData"):
        if (root / TRAINVAL_LIST).is_file() or (root / TEST_LIST).is_file():
            return root
    return None


def read_deeppcb(
    root: str | Path,
    taxonomy: Taxonomy = DEEPPCB,
    val_fraction: float = 0.15,
    *,
    splits: Collection[Split] | None = None,
) -> tuple[BoardDataset, ImportReport]:
    """Reads a folder in DeepPCB's layout.

    test.txt is `test`. The boards of trainval.txt are split into `train` and `val` by board group (the first folder
    in the list's path), see `split_boards`; if all are of one group, by board, and the report says so.

    Args:
        root: the folder with the lists, or a checkout of DeepPCB with it in `PCBData`.
        taxonomy: its classes, in the order of the class numbers 1, 2, ...
        val_fraction: expected share of trainval's groups in `val`.
        splits: read these alone; the result is the same as that part of a full reading.

    Returns:
        Pairs in the order of the lists, trainval first, and the account of what was skipped and why. A pair with
        any fault is skipped alone: a missing or damaged image, images of two sizes, a bad annotation line.

    Raises:
        DataError: no list, or not one usable pair.
    """
    folder = find_deeppcb(Path(root))
    if folder is None:
        raise DataError(
            f"expected {TRAINVAL_LIST} or {TEST_LIST}, found neither",
            where=root,
            fix="give the folder that holds DeepPCB's lists (PCBData)",
        )
    trainval, bad_trainval, notes_trainval = _read_list(folder, TRAINVAL_LIST)
    test, bad_test, notes_test = _read_list(folder, TEST_LIST)
    split_of, notes_split = _split_trainval(trainval, val_fraction)
    candidates = [_candidate(entry, split_of[entry], taxonomy) for entry in trainval]
    candidates += [_candidate(entry, "test", taxonomy) for entry in test]
    wants_trainval = splits is None or not {"train", "val"}.isdisjoint(splits)
    wants_test = splits is None or "test" in splits
    return assemble(
        candidates,
        name="deeppcb",
        source=folder,
        taxonomy=taxonomy,
        splits=splits,
        skipped=(bad_trainval if wants_trainval else []) + (bad_test if wants_test else []),
        notes=[*notes_trainval, *notes_test, *(notes_split if wants_trainval else [])],
    )


def trainval_references(folder: Path) -> list[tuple[str, str, Path]]:
    """Board id, board group and reference of each board of trainval.txt. Only the list itself is read.

    Args:
        folder: that holds the list, see `find_deeppcb`.

    Raises:
        DataError: there is no such list, or a line of it is bad.
    """
    entries, bad, notes = _read_list(folder, TRAINVAL_LIST)
    if notes:
        raise DataError(f"expected {TRAINVAL_LIST}, found none", where=folder, fix="add the list")
    if bad:
        raise DataError(f"a line cannot be used: {bad[0].reason}", where=folder / TRAINVAL_LIST, fix="correct the list")
    return [(entry.board_id, entry.group, entry.reference_path) for entry in entries]


@dataclass(frozen=True, slots=True)
class _Entry:
    """One line of a list, with the paths that it stands for."""

    board_id: str
    group: str
    test_path: Path
    reference_path: Path
    labels_path: Path


def _read_list(folder: Path, name: str) -> tuple[list[_Entry], list[SkippedBoard], list[str]]:
    """Entries, bad lines and notes; a list that is not there gives a note alone."""
    path = folder / name
    if not path.is_file():
        return [], [], [f"split file {name} missing"]
    entries: list[_Entry] = []
    bad: list[SkippedBoard] = []
    for number, line in read_lines(path):
        fields = line.replace("\\", "/").split()
        if len(fields) == 2:
            entries.append(_entry(folder, *fields))
        else:
            error = DataError(
                f"expected an image and its annotation file, found {line[:80]!r}",
                where=path,
                line=number,
                fix="correct the line",
            )
            bad.append(skip(f"{name}:{number}", error))
    return entries, bad, []


def _entry(folder: Path, image: str, labels: str) -> _Entry:
    listed = PurePosixPath(image)
    beside = folder / listed.parent
    return _Entry(
        board_id=listed.stem,
        group=listed.parts[0] if len(listed.parts) > 1 else folder.name,
        test_path=beside / f"{listed.stem}_test{listed.suffix}",
        reference_path=beside / f"{listed.stem}_temp{listed.suffix}",
        labels_path=folder / labels,
    )


def _split_trainval(entries: Sequence[_Entry], val_fraction: float) -> tuple[dict[_Entry, Split], list[str]]:
    """The split follows from the list alone, so a damaged board moves no other one."""
    splits, by_board = split_boards([(entry.board_id, entry.group) for entry in entries], val_fraction)
    note = f"all boards of {TRAINVAL_LIST} are of one group, so validation was split off by board, not by group"
    return dict(zip(entries, splits, strict=True)), [note] if by_board else []


def _candidate(entry: _Entry, split: Split, taxonomy: Taxonomy) -> Candidate:
    return Candidate(
        board_id=entry.board_id,
        board_group=entry.group,
        split=split,
        test_path=entry.test_path,
        reference_path=entry.reference_path,
        read_labels=partial(_read_annotation, entry.labels_path, taxonomy),
    )


def _read_annotation(path: Path, taxonomy: Taxonomy, width: int, height: int) -> list[LabelRow]:
    rows = []
    for line, (x1, y1, x2, y2, number) in read_numbers(path, "x1 y1 x2 y2 class", 5):
        row = LabelRow(class_index(number, 1, len(taxonomy), path, line), (x1, y1, x2, y2), path, line)
        if min(row.box) < 0:
            raise row.fault(f"expected pixels from 0 on, found a negative one in {x1:g} {y1:g} {x2:g} {y2:g}")
        rows.append(row)
    return rows
