"""What people decided of machine calls becomes a data set to train on."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np

from copperline.data import (
    BoardDataset,
    BoardPair,
    ImportReport,
    Split,
    assign_splits,
    save_dataset,
    saved_dataset,
    write_image,
)
from copperline.data.store import DATASET_FILE, saved_datasets, splits_of_images
from copperline.errors import DataError, SettingsError
from copperline.files import require_replaceable
from copperline.progress import progress
from copperline.settings import Settings
from copperline.warehouse import open_warehouse
from copperline.warehouse.reviewed_boards import ReviewedImage, reviewed_images
from copperline.workflows.reviewed_parts import Account, LeftOut, Part, part_of
from copperline.workspace import Workspace

SplitBy = Literal["board", "product"]


@dataclass(frozen=True)
class ReviewedDataset:
    """What was made.

    Attributes:
        dataset: as it lies in the workspace.
        folder: its folder.
        data_hash: of it.
        report: with everything that was left out.
        whole, crops: images taken as a whole, and crops of others.
        false_calls: places that were called and are no defects.
        left_out: reason -> how many images or places.
    """

    dataset: BoardDataset
    folder: Path
    data_hash: str
    report: ImportReport
    whole: int
    crops: int
    false_calls: int
    left_out: dict[str, int]


def dataset_from_reviews(
    settings: Settings,
    name: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    lines: Sequence[str] = (),
    products: Sequence[str] = (),
    val_fraction: float = 0.2,
    split_by: SplitBy = "board",
    learn_test: bool = False,
    overwrite: bool = False,
) -> ReviewedDataset:
    """Makes the data set `<workspace>/datasets/<name>` from what people decided; the same decisions give the same.

    Confirmed detections become labels, as detected or as corrected; missed defects with a box and a class too, of
    boards that failed as of those that were passed. False calls become places to look at, without a label; boards that
    were found good, boards without labels. Images are stored as the model saw them: conditioned, grey, the reference
    registered. A board that was judged as a whole is taken as one; of others, crops around what was judged or marked.

    Splits are by board, by the hash of its id: all images of one board are in one split. A board with an image in
    another data set of the workspace stays in the split that it has there.

    Args:
        since, until, lines, products: as for `reviewed_images`.
        val_fraction: expected share of the boards in `val`.
        split_by: `product` keeps whole products apart, to measure on products that were not learned.
        learn_test: take boards that are in the split `test` of a data set too; measure on others then.
        overwrite: replace a data set of the same name.

    Raises:
        DataError: the data set exists or cannot be written, or nothing can be learned from.
        SettingsError: the name or the share cannot be used.
        WarehouseError: the warehouse cannot be read.
    """
    if Path(name).name != name or name.startswith("."):
        raise SettingsError(f"expected a plain name for the data set, found {name!r}", fix="use letters and dashes")
    space = Workspace(settings)
    folder = space.datasets / name
    require_replaceable(folder, overwrite, DATASET_FILE)
    engine = open_warehouse(settings.warehouse, read_only=True)
    try:
        images = reviewed_images(engine, since=since, until=until, lines=lines, products=products)
    finally:
        engine.dispose()
    account = Account()
    elsewhere = _splits_elsewhere(images, space.datasets, folder)
    known = []
    for image in images:
        if learn_test or elsewhere.get(image.board_id) != "test":
            known.append(image)
        else:
            account.leave_out(image.board_id, LeftOut.IN_TEST)
    splits = _splits(known, elsewhere, val_fraction, split_by)
    with tempfile.TemporaryDirectory() as temporary, progress("Reading reviewed images") as report_progress:
        pairs: list[BoardPair] = []
        whole = 0
        for done, image in enumerate(known, 1):
            part = part_of(image, settings.taxonomy, account)
            if part is not None:
                whole += part.whole
                group = image.product_type if split_by == "product" else image.board_id
                pairs += _write(part, Path(temporary), splits[image.board_id], group or "unknown")
            report_progress(done, len(known))
        if not pairs:
            raise _nothing(images, account, settings)
        simulated = len({image.board_id for image in known if image.simulated})
        dataset = BoardDataset(
            name=f"{name} (simulated boards)" if simulated else name,
            source="reviews",
            pairs=tuple(pairs),
            taxonomy=settings.taxonomy,
        )
        report = _report(dataset, account, simulated, len({image.board_id for image in known}))
        saved = save_dataset(dataset, report, folder, overwrite=overwrite)
    return ReviewedDataset(
        dataset=saved,
        folder=folder,
        data_hash=saved_dataset(folder).data_hash,
        report=report,
        whole=whole,
        crops=len(pairs) - whole,
        false_calls=sum(len(pair.false_calls) for pair in pairs),
        left_out={str(why): count for why, count in sorted(account.counts.items())},
    )


def _write(part: Part, folder: Path, split: Split, group: str) -> list[BoardPair]:
    """The images of the cuts, as files in `folder`."""
    image = part.image
    identity = json.dumps([image.image_sha256, image.reference_sha256, image.conditioning])
    stem = f"{image.board_id}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
    pairs = []
    for cut in part.cuts:
        name = stem if part.whole else f"{stem}-{cut.x}-{cut.y}"
        window = np.s_[cut.y : cut.y + cut.height, cut.x : cut.x + cut.width]
        test, reference = folder / f"{name}_test.png", folder / f"{name}_temp.png"
        write_image(test, np.ascontiguousarray(part.test[window]))
        if part.reference is not None:
            write_image(reference, np.ascontiguousarray(part.reference[window]))
        pairs.append(
            BoardPair(
                board_id=name,
                board_group=group,
                split=split,
                test_path=test,
                reference_path=None if part.reference is None else reference,
                labels=cut.labels,
                width=cut.width,
                height=cut.height,
                false_calls=cut.false_calls,
            )
        )
    return pairs


def _splits_elsewhere(images: Sequence[ReviewedImage], datasets: Path, target: Path) -> dict[str, Split]:
    """Board -> the split of its images in other data sets of the workspace: `test` before `val` before `train`."""
    known: dict[str, set[Split]] = {}
    for folder in saved_datasets(datasets):
        if folder != target:
            for sha256, split in splits_of_images(folder).items():
                known.setdefault(sha256, set()).add(split)
    found: dict[str, set[Split]] = {}
    for image in images:
        found.setdefault(image.board_id, set()).update(known.get(image.image_sha256, ()))
    order: tuple[Split, ...] = ("test", "val", "train")
    return {board: next(split for split in order if split in there) for board, there in found.items() if there}


def _splits(
    images: Sequence[ReviewedImage], elsewhere: dict[str, Split], val_fraction: float, split_by: SplitBy
) -> dict[str, Split]:
    """Board -> split. What was in a test split and is to be learned all the same is split as any other."""
    keys = {i.board_id: i.product_type if split_by == "product" else i.board_id for i in images}
    by_key = assign_splits(list(keys.values()), val_fraction)
    splits: dict[str, Split] = {}
    for board, key in keys.items():
        there = elsewhere.get(board)
        splits[board] = by_key[key] if there in (None, "test") else there
    return splits


def _report(dataset: BoardDataset, account: Account, simulated: int, boards: int) -> ImportReport:
    notes = [f"left out, {why}: {count}" for why, count in sorted(account.counts.items())]
    if simulated:
        notes.insert(0, f"{simulated} of {boards} reviewed boards are simulated")
    notes += [
        f"no board is in {split}: train with another data set that has some, or review more boards"
        for split in ("train", "val")
        if all(pair.split != split for pair in dataset)
    ]
    return ImportReport.of(dataset, skipped=account.skipped, notes=notes)


def _nothing(images: Sequence[ReviewedImage], account: Account, settings: Settings) -> DataError:
    reasons = ", ".join(f"{why}: {count}" for why, count in account.counts.most_common(3))
    return DataError(
        f"expected reviewed boards to learn from, found none of {len(images)} images"
        + (f" ({reasons})" if reasons else ""),
        where=settings.workspace,
        fix="review boards on the dashboard first, or choose another period",
    )
