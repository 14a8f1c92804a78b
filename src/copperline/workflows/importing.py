"""Taking a data set into the workspace: a copy of its files, and its rows for SQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from copperline.data import BoardDataset, ImportReport, save_dataset
from copperline.data.synthetic import write_synthetic_dataset
from copperline.errors import DataError
from copperline.progress import Report, progress
from copperline.settings import Settings
from copperline.warehouse import LabeledBoard, label_text, open_warehouse, write_labeled_boards
from copperline.workspace import Workspace


def import_dataset(
    dataset: BoardDataset, report: ImportReport, settings: Settings, name: str, *, overwrite: bool = False
) -> tuple[BoardDataset, Path]:
    """Copies `dataset` to `<workspace>/datasets/<name>` and its boards into the table `pcb_labeled_data`.

    Returns:
        The data set as it now lies in the workspace, and its folder.

    Raises:
        DataError: the folder exists (and `overwrite` is false) or cannot be written, or the name is no folder name.
        WarehouseError: the table cannot be written.
    """
    if Path(name).name != name or name.startswith("."):
        raise DataError(f"expected a plain name for the data set, found {name!r}", fix="use letters, digits and dashes")
    folder = Workspace(settings).datasets / name
    saved = save_dataset(dataset, report, folder, overwrite=overwrite)
    engine = open_warehouse(settings.warehouse)
    try:
        with progress("Writing pcb_labeled_data") as report_progress:
            write_labeled_boards(engine, labeled_boards(saved, report_progress))
    finally:
        engine.dispose()
    return saved, folder


def labeled_boards(dataset: BoardDataset, report_progress: Report) -> Iterator[LabeledBoard]:
    """The boards as rows of `pcb_labeled_data`, with their files' bytes."""
    for done, pair in enumerate(dataset, 1):
        yield LabeledBoard(
            filename=pair.test_path.name,
            image_bytes=pair.test_path.read_bytes(),
            label_text=label_text(pair.labels, pair.width, pair.height),
            split=pair.split,
            reference_bytes=None if pair.reference_path is None else pair.reference_path.read_bytes(),
            board_group=pair.board_group,
        )
        report_progress(done, len(dataset))


def draw(settings: Settings, folder: Path, *, train: int, test: int, seed: int, size: int = 640) -> None:
    """Draws synthetic boards into the new `folder`, on all cores; see `write_synthetic_dataset`."""
    with progress("Drawing boards") as report_progress:
        write_synthetic_dataset(
            folder,
            train=train,
            test=test,
            seed=seed,
            size=size,
            processes=settings.cores,
            progress=report_progress,
        )


def download(settings: Settings) -> Path:
    """DeepPCB from its public home, kept in the workspace; raises OfflineError without a network."""
    from copperline.data.download import download_deeppcb

    with progress("Downloading DeepPCB") as report_progress:
        return download_deeppcb(
            Workspace(settings).downloads / "DeepPCB",
            progress=lambda done, total: report_progress(done, total or done),
        )
