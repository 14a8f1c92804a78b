"""Writes synthetic boards as a data set in DeepPCB's layout, which the ordinary reader reads."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from copperline.data.synthetic.generate import draw_pair, in_order, product_number
from copperline.data.synthetic.scan import ScanSettings, encode_jpeg
from copperline.data.synthetic.sizes import DefectSizes
from copperline.detections import Detections
from copperline.errors import DataError, SettingsError
from copperline.files import atomic_folder

_FIRST_GROUP = 70000  # group numbers have five digits; DeepPCB itself uses none from here to 76999
_MOST_GROUPS = 7000
_BOARDS_PER_GROUP = 25
_LARGEST_GROUP = 1000  # a board's number within its group has three digits
_GOOD_EVERY = 20  # of so many boards one has no defect


@dataclass(frozen=True, slots=True)
class _BoardJob:
    """One board to be drawn and written below `folder`."""

    folder: Path
    group: str
    board_id: str
    seed: tuple[int, int, int]
    size: int
    product: int
    defective: bool
    sizes: DefectSizes | None
    scan: ScanSettings

    @property
    def split_line(self) -> str:
        """Its line in `trainval.txt` or `test.txt`."""
        directory = f"group{self.group}/{self.group}"
        return f"{directory}/{self.board_id}.jpg {directory}_not/{self.board_id}.txt\n"


def write_synthetic_dataset(
    folder: str | os.PathLike[str],
    *,
    train: int = 300,
    test: int = 60,
    seed: int = 0,
    size: int = 640,
    processes: int = 2,
    sizes: DefectSizes | None = None,
    scan: ScanSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Writes `trainval.txt`, `test.txt` and `group*/` with images and annotations into a new folder.

    Each board group is one product. No board of the test split is in the training split; half of the test boards are
    of products that the training split has, half of products that it has not. One board in 20 has no defect, and an
    empty annotation file.

    The folder appears complete or not at all. The same arguments give the same bytes, whatever `processes` is.

    Args:
        folder: must not exist.
        train, test: number of boards in each split, at least 1.
        seed: 0 or more.
        size: pixels per side, at least 64.
        processes: as for `generate_pairs`.
        sizes, scan: as for `synthetic_pair`.
        progress: called with (boards written, boards in all) after each board.

    Raises:
        DataError: the folder exists or cannot be written, or the size is too small.
        SettingsError: a number is out of range.
    """
    folder = Path(folder)
    if folder.exists():
        raise DataError("expected a folder that does not exist yet", where=folder, fix="remove it or name another")
    if train < 1 or test < 1 or seed < 0:
        raise SettingsError(
            f"expected train >= 1, test >= 1 and seed >= 0, found {train}, {test} and {seed}", fix="correct the numbers"
        )
    with atomic_folder(folder, marker="trainval.txt") as partial:
        splits = _plan(partial, train, test, seed, size, sizes, scan or ScanSettings())
        _write_boards(partial, splits, processes, progress)


def _plan(
    folder: Path, train: int, test: int, seed: int, size: int, sizes: DefectSizes | None, scan: ScanSettings
) -> dict[str, list[_BoardJob]]:
    """What each split file will list: every board's group, number, seed and product."""
    known = min(train, max(3, math.ceil(train / _BOARDS_PER_GROUP)))
    unseen = max(1, math.ceil(test / 2 / _BOARDS_PER_GROUP))
    if known + unseen > _MOST_GROUPS:
        raise SettingsError(
            f"expected at most {_MOST_GROUPS * _BOARDS_PER_GROUP} boards, found {train + test}", fix="ask for fewer"
        )
    groups = {
        "trainval": [i % known for i in range(train)],
        "test": [known + i // 2 % unseen if i % 2 else i // 2 % known for i in range(test)],
    }
    boards_in: dict[int, int] = {}
    plan: dict[str, list[_BoardJob]] = {}
    for split_index, (split, group_indices) in enumerate(groups.items()):
        plan[split] = []
        for i, group in enumerate(group_indices):
            number = boards_in.get(group, 0)
            boards_in[group] = number + 1
            if number >= _LARGEST_GROUP:
                raise SettingsError(
                    f"expected at most {_LARGEST_GROUP} boards in a group, found more; {test} test boards are too many "
                    f"for {train} training boards",
                    fix="ask for more training boards",
                )
            name = str(_FIRST_GROUP + group)
            plan[split].append(
                _BoardJob(
                    folder=folder,
                    group=name,
                    board_id=f"{name}{number:03d}",
                    seed=(seed, split_index, i),
                    size=size,
                    product=product_number(seed, group),
                    defective=i % _GOOD_EVERY != 4,
                    sizes=sizes,
                    scan=scan,
                )
            )
    return plan


def _write_boards(
    folder: Path,
    splits: dict[str, list[_BoardJob]],
    processes: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    for split, jobs in splits.items():
        lines = "".join(job.split_line for job in jobs)
        (folder / f"{split}.txt").write_text(lines, encoding="ascii", newline="\n")
    jobs = [job for split in splits.values() for job in split]
    for group in {job.group for job in jobs}:
        (folder / f"group{group}" / group).mkdir(parents=True)
        (folder / f"group{group}" / f"{group}_not").mkdir()
    for done, _ in enumerate(in_order(_write_board, jobs, processes), start=1):
        if progress is not None:
            progress(done, len(jobs))


def _write_board(job: _BoardJob) -> None:
    test, reference, labels = draw_pair(
        job.seed, job.size, product=job.product, defective=job.defective, sizes=job.sizes, scan=job.scan
    )
    directory = job.folder / f"group{job.group}"
    quality = 95 if job.scan.jpeg_quality is None else job.scan.jpeg_quality
    for image, suffix in ((test, "test"), (reference, "temp")):
        (directory / job.group / f"{job.board_id}_{suffix}.jpg").write_bytes(encode_jpeg(image, quality))
    annotation = directory / f"{job.group}_not" / f"{job.board_id}.txt"
    annotation.write_text(_annotation(labels), encoding="ascii", newline="\n")


def _annotation(labels: Detections) -> str:
    """Lines `x1 y1 x2 y2 class`, whole pixels, classes from 1 as DeepPCB counts them."""
    return "".join(
        " ".join(str(int(v)) for v in box) + f" {class_id + 1}\n"
        for box, class_id in zip(labels.boxes, labels.class_ids, strict=True)
    )
