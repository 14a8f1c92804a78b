"""From what a format lists to a data set: every reader ends here, so all check boards in the same way."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from copperline.data.images import is_bare, read_image, require_same_size, sha256_of
from copperline.data.labels import LabelRow, fit_labels
from copperline.data.pairs import SPLITS, BoardDataset, BoardPair, Split
from copperline.data.report import ImportReport, SkippedBoard
from copperline.errors import DataError, SettingsError
from copperline.files import file_name
from copperline.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class Candidate:
    """A board as a format lists it, before anything of it is read.

    Attributes:
        read_labels: called with width and height of the test image in pixels; gives the rows of its labels.
    """

    board_id: str
    board_group: str
    split: Split
    test_path: Path
    reference_path: Path | None
    read_labels: Callable[[int, int], Sequence[LabelRow]]


@dataclass(frozen=True, slots=True)
class _Checked:
    pair: BoardPair
    boxes_clipped: int
    fingerprint: str
    bare_reference: bool


@dataclass(frozen=True, slots=True)
class _Owner:
    """Where an image is kept, if it was found more than once."""

    board_id: str
    split: Split


# A board found in two splits stays in the first of these.
_PRECEDENCE: tuple[Split, ...] = ("test", "val", "train")


def assemble(
    candidates: Sequence[Candidate],
    *,
    name: str,
    source: Path,
    taxonomy: Taxonomy,
    splits: Collection[Split] | None = None,
    skipped: Sequence[SkippedBoard] = (),
    notes: Sequence[str] = (),
) -> tuple[BoardDataset, ImportReport]:
    """Decodes and checks the boards and keeps the good ones, in the given order.

    A board listed twice, or an image found under two ids in different splits, is kept in one split only: in test
    rather than val, in val rather than train. So training never sees a board that it is judged on.

    Args:
        candidates: all that the format lists, also those of other splits: their images are hashed, not decoded, to find
            duplicates.
        splits: which to read; None is all.
        skipped: boards that the reader had to leave out already.

    Raises:
        DataError: not one board can be used.
    """
    wanted = _known_splits(splits)
    candidates, repeated_ids = _without_repeated_ids(candidates)
    chosen = [c for c in candidates if c.split in wanted]
    last = max(_PRECEDENCE.index(split) for split in wanted)
    others = [c for c in candidates if c.split not in wanted and _PRECEDENCE.index(c.split) < last]
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:  # OpenCV decodes without the GIL
        outcomes = list(pool.map(_check, chosen))
        fingerprints = list(pool.map(_fingerprint_of, others))
    left_out = [*skipped, *(outcome for outcome in outcomes if isinstance(outcome, SkippedBoard))]
    owners = [(f, _Owner(c.board_id, c.split)) for f, c in zip(fingerprints, others, strict=True) if f is not None]
    checked, repeated_images = _without_repeated_images([o for o in outcomes if isinstance(o, _Checked)], owners)
    if not checked:
        raise DataError(
            f"expected at least one usable board in {', '.join(sorted(wanted))}, found none of "
            f"{len(chosen) + len(skipped)}" + (f" (first: {left_out[0].reason})" if left_out else ""),
            where=source,
            fix="correct the files or choose another split",
        )
    dataset = BoardDataset(name=name, source=str(source), pairs=tuple(c.pair for c in checked), taxonomy=taxonomy)
    report = ImportReport.of(
        dataset,
        skipped=left_out,
        duplicates=[*repeated_ids, *repeated_images],
        boxes_clipped=sum(c.boxes_clipped for c in checked),
        notes=[*notes, *_bare_reference_notes(checked)],
    )
    return dataset, report


def skip(board: str, error: DataError) -> SkippedBoard:
    return SkippedBoard(board=board, reason=str(error))


def _known_splits(splits: Collection[Split] | None) -> frozenset[Split]:
    wanted = frozenset(SPLITS if splits is None else splits)
    unknown = wanted.difference(SPLITS)
    if unknown or not wanted:
        raise SettingsError(
            f"expected splits out of {', '.join(SPLITS)}, found {', '.join(sorted(unknown)) or 'none'}",
            fix="name at least one of them",
        )
    return wanted


def _without_repeated_ids(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[str]]:
    kept: dict[str, Candidate] = {}
    for candidate in candidates:
        first = kept.setdefault(candidate.board_id, candidate)
        if _PRECEDENCE.index(candidate.split) < _PRECEDENCE.index(first.split):
            kept[candidate.board_id] = candidate
    messages = []
    for candidate in candidates:
        keeper = kept[candidate.board_id]
        if candidate is not keeper:
            listed = f"twice in {keeper.split}" if candidate.split == keeper.split else f"also in {candidate.split}"
            messages.append(f"board {candidate.board_id} is listed {listed}; kept once, in {keeper.split}")
    return [c for c in candidates if c is kept[c.board_id]], messages


def _without_repeated_images(
    checked: Sequence[_Checked], others: Sequence[tuple[str, _Owner]]
) -> tuple[list[_Checked], list[str]]:
    """Drops boards whose test image is, byte for byte, also in a split that goes before; reports the other repeats."""
    keepers: dict[str, _Owner] = {}
    for fingerprint, owner in [*((c.fingerprint, _Owner(c.pair.board_id, c.pair.split)) for c in checked), *others]:
        first = keepers.setdefault(fingerprint, owner)
        if _PRECEDENCE.index(owner.split) < _PRECEDENCE.index(first.split):
            keepers[fingerprint] = owner
    kept: list[_Checked] = []
    messages: list[str] = []
    for board in checked:
        pair, keeper = board.pair, keepers[board.fingerprint]
        if pair.split == keeper.split:
            kept.append(board)
            if pair.board_id != keeper.board_id:
                messages.append(f"boards {keeper.board_id} and {pair.board_id} in {pair.split} have the same image")
        else:
            messages.append(
                f"board {pair.board_id} in {pair.split} has the same image as {keeper.board_id} in {keeper.split}; "
                f"kept in {keeper.split}"
            )
    return kept, messages


def _bare_reference_notes(checked: Sequence[_Checked]) -> list[str]:
    bare = [c.pair.board_id for c in checked if c.bare_reference]
    if not bare:
        return []
    named = ", ".join(bare[:10]) + (", ..." if len(bare) > 10 else "")
    return [f"references of a bare part of the board, without any contrast: {len(bare)} ({named})"]


def _check(candidate: Candidate) -> _Checked | SkippedBoard:
    """Decodes both images and fits the labels; a fault skips this board alone."""
    try:
        file_name(candidate.board_id, candidate.test_path.suffix)
        test = read_image(candidate.test_path)
        fingerprint = sha256_of(candidate.test_path)
        bare_reference = False
        if candidate.reference_path is not None:
            reference = read_image(candidate.reference_path, bare_ok=True)
            require_same_size(test, reference, candidate.reference_path)
            bare_reference = is_bare(reference)
        height, width = test.shape[:2]
        labels, boxes_clipped = fit_labels(candidate.read_labels(width, height), width, height)
    except DataError as error:
        return skip(candidate.board_id, error)
    pair = BoardPair(
        board_id=candidate.board_id,
        board_group=candidate.board_group,
        split=candidate.split,
        test_path=candidate.test_path,
        reference_path=candidate.reference_path,
        labels=labels,
        width=width,
        height=height,
    )
    return _Checked(pair, boxes_clipped, fingerprint, bare_reference)


def _fingerprint_of(candidate: Candidate) -> str | None:
    """None if it cannot be read: that is reported when its own split is read."""
    try:
        return sha256_of(candidate.test_path)
    except DataError:
        return None
