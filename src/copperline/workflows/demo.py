"""The whole loop in one call: import, train, evaluate, register, inspect, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from copperline.data import BoardDataset, open_dataset
from copperline.data.download import OfflineError
from copperline.errors import SettingsError
from copperline.evaluation import Evaluation
from copperline.inspection import Detector
from copperline.settings import Settings
from copperline.training import TrainConfig, World, fit, training_progress
from copperline.warehouse import BoardCounts, place
from copperline.workflows.evaluating import measure
from copperline.workflows.importing import download, draw, import_dataset
from copperline.workflows.simulated_inspection import inspect_as_made
from copperline.workflows.training import register_model
from copperline.workspace import Workspace

Source = Literal["path", "download", "synthetic"]

SYNTHETIC_TRAIN, SYNTHETIC_TEST, SYNTHETIC_SEED = 300, 60, 0
STATION = "demo"


@dataclass(frozen=True)
class DemoResult:
    """What the demo did.

    Attributes:
        source: `path`, `download` or `synthetic`.
        train_images, test_images: boards trained on (without validation) and measured on.
        train_seconds: in training steps.
        evaluation: on the test split.
        model_version: in the registry.
        inspections, defect_rows: rows that are in the warehouse for this model version's inspections of the test split.
        database: path of the SQLite file, or URL without its password.
        report, dataset: paths.
        lines: factory line -> its counts in the warehouse after the inspections.
    """

    source: Source
    train_images: int
    test_images: int
    train_seconds: float
    evaluation: Evaluation
    model_version: str
    inspections: int
    defect_rows: int
    database: str
    report: Path
    dataset: Path
    lines: dict[str, BoardCounts]

    def to_dict(self) -> dict[str, Any]:
        """As in the product's JSON."""
        return {
            "source": self.source,
            "train_images": self.train_images,
            "test_images": self.test_images,
            "map50": self.evaluation.map50,
            "ap33": self.evaluation.ap33,
            "train_seconds": round(self.train_seconds, 1),
            "model_version": self.model_version,
            "inspections": self.inspections,
            "defect_rows": self.defect_rows,
            "false_call_boards": self.evaluation.false_call_boards,
            "clean_boards": self.evaluation.clean_boards,
            "recall": self.evaluation.recall,
            "recall_any_class": self.evaluation.recall_any_class,
            "map50_95": self.evaluation.map50_95,
            "database": self.database,
            "report": str(self.report),
        }


def run_demo(
    settings: Settings,
    data: Path | None = None,
    epochs: int | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> DemoResult:
    """Runs the demo in the workspace.

    Args:
        data: a labelled data set; without it DeepPCB is downloaded or, without a network, boards are drawn.
        epochs: of training; the default takes under 15 minutes on DeepPCB and under 5 on the synthetic boards, on two
            CPU cores.
        tell: is given a line before each step.

    Raises:
        CopperlineError: whatever a user can act on.
    """
    if World.from_environment().size > 1:
        raise SettingsError("the demo runs in one process, found WORLD_SIZE above 1", fix="use `copperline train`")
    space = Workspace(settings)
    with space.locked():
        source, path = _find_data(settings, data, tell)
        dataset, folder = _import(settings, source, path, tell)
        test_pairs = dataset.split("test")

        config = TrainConfig() if epochs is None else TrainConfig(epochs=epochs)
        if source == "synthetic":  # drawn with rough edges already
            config = config.model_copy(update={"rescan": 0.0})
        tell(f"Training {config.network} for {config.epochs} epochs on {len(dataset.split('train'))} boards ...")
        with training_progress() as listener:
            trained = fit(dataset, config, space.new_run(), settings, listeners=[listener])
        assert trained is not None  # this is the main process, see above

        tell(f"Evaluating on {len(test_pairs)} boards that it has not seen ...")
        measured = measure(Detector.load(str(trained.path), settings=settings), test_pairs)
        version = register_model(trained, dataset, settings, test=measured.evaluation)
        report = measured.write_report(space.reports / f"{version.name}-{version.version}", trained.history)

        tell("Inspecting the test split into the warehouse ...")
        detector = Detector.load(str(version.version), settings=settings)
        inspected = inspect_as_made(settings, detector, test_pairs, station_id=STATION, version=version.version)
    return DemoResult(
        source=source,
        train_images=len(dataset.split("train")),
        test_images=len(test_pairs),
        train_seconds=trained.seconds,
        evaluation=measured.evaluation,
        model_version=str(version.version),
        inspections=inspected.batch.inspected,
        defect_rows=inspected.batch.defects,
        database=place(settings.warehouse),
        report=report,
        dataset=folder,
        lines=inspected.lines,
    )


def _find_data(settings: Settings, data: Path | None, tell: Callable[[str], None]) -> tuple[Source, Path]:
    if data is not None:
        return "path", data
    try:
        tell("Downloading DeepPCB (use --data PATH for your own copy) ...")
        return "download", download(settings)
    except OfflineError as error:
        tell(f"No download ({error.problem}): the demo draws synthetic boards instead.")
    folder = Workspace(settings).downloads / f"synthetic-{SYNTHETIC_TRAIN}-{SYNTHETIC_TEST}-{SYNTHETIC_SEED}"
    if not folder.exists():
        draw(settings, folder, train=SYNTHETIC_TRAIN, test=SYNTHETIC_TEST, seed=SYNTHETIC_SEED)
    return "synthetic", folder


def _import(settings: Settings, source: Source, path: Path, tell: Callable[[str], None]) -> tuple[BoardDataset, Path]:
    tell(f"Importing {path} ...")
    dataset, report = open_dataset(path, taxonomy=settings.taxonomy)
    for line in report.lines():
        tell(f"  {line}")
    return import_dataset(dataset, report, settings, f"demo-{source}", overwrite=True)
