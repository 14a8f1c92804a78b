"""Which boards the notebook looks at, and taking them into the workspace and the table `pcb_labeled_data`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from copperline.data import BoardDataset, ImportReport, open_dataset, save_dataset, write_yolo
from copperline.data.thinning import thinned
from copperline.workflows.importing import draw, import_dataset
from copperline.workflows.labeled_table import read_labeled_table
from copperline.workflows.notebook.parameters import Parameters
from copperline.workflows.notebook.place import Place
from copperline.workspace import Workspace

Source = Literal["path", "table", "synthetic"]
# Of the drawn boards, one in six is for the test.
_TEST_SHARE = 6
_WORDS: dict[Source, str] = {
    "path": "the labelled boards that DATA names",
    "table": "from the table pcb_labeled_data",
    "synthetic": "synthetic boards, drawn here: no camera has seen them",
}


@dataclass(frozen=True)
class Boards:
    """The boards as they were found.

    Attributes:
        dataset: of at most as many boards as the parameters say.
        report: the account of these.
        source: where they came from.
    """

    dataset: BoardDataset
    report: ImportReport
    source: Source

    @property
    def in_words(self) -> str:
        """Where they came from, and what a person should know of their import, a line each."""
        lines = [f"{len(self.dataset)} boards: {_WORDS[self.source]}."]
        lines += [f"Note: {note}." for note in self.report.notes]
        if self.report.skipped:
            lines.append(
                f"Left out: {len(self.report.skipped)} boards, the first since {self.report.skipped[0].reason}."
            )
        return "\n".join(lines)


def find_boards(place: Place, parameters: Parameters) -> Boards:
    """The boards that `parameters.data` names; without it those of the table in Snowflake, and else drawn ones.

    Nothing is downloaded, since nobody asked for it. Drawn boards are kept in the workspace, and are the same for the
    same number and seed.

    Raises:
        DataError: there is no data set, or it cannot be read.
        WarehouseError: the table cannot be read.
    """
    if parameters.data is None and place.in_snowflake:
        found = read_labeled_table(place.settings, Workspace(place.settings).downloads / "table", parameters.boards)
        if found is not None:
            return Boards(*found, "table")
    if parameters.data is not None:
        source: Source = "path"
        folder = Workspace(place.settings).dataset(parameters.data)
    else:
        source, folder = "synthetic", _drawn(place, parameters)
    dataset, report = open_dataset(folder, taxonomy=place.settings.taxonomy)
    fewer = thinned(dataset, parameters.boards)
    if fewer is not dataset:
        note = f"{len(fewer)} of {len(dataset)} boards, as BOARDS says"
        report = ImportReport.of(
            fewer, skipped=report.skipped, duplicates=report.duplicates, notes=(*report.notes, note)
        )
    return Boards(fewer, report, source)


def take_in(place: Place, boards: Boards) -> tuple[BoardDataset, Path]:
    """Copies the boards into the workspace and their rows into `pcb_labeled_data`; writes them as YOLO too.

    Boards that came from the table have their rows already.

    Returns:
        The data set as it now lies in the workspace, and the folder in YOLO's layout. Both replace those of an
        earlier run.
    """
    name = f"notebook-{boards.source}"
    if boards.source == "table":
        folder = Workspace(place.settings).datasets / name
        dataset = save_dataset(boards.dataset, boards.report, folder, overwrite=True)
    else:
        dataset, folder = import_dataset(boards.dataset, boards.report, place.settings, name, overwrite=True)
    yolo = write_yolo(dataset, folder.with_name(f"{name}-yolo"), overwrite=True)
    return dataset, yolo.parent


def _drawn(place: Place, parameters: Parameters) -> Path:
    test = max(1, parameters.boards // _TEST_SHARE)
    train = parameters.boards - test
    folder = Workspace(place.settings).downloads / f"synthetic-{train}-{test}-{parameters.seed}"
    if not folder.exists():
        draw(place.settings, folder, train=train, test=test, seed=parameters.seed)
    return folder
