"""The notebook's long steps: training, and inspecting into the warehouse."""

from __future__ import annotations

from collections.abc import Callable

from copperline.data import BoardDataset
from copperline.errors import TrainingError
from copperline.inspection import BatchSummary, Detector
from copperline.registry import ModelVersion, open_registry, promote_model
from copperline.settings import Settings
from copperline.training import EpochLines, TrainConfig, TrainedModel, fit
from copperline.training.engines import engine_here
from copperline.workflows.evaluating import MeasuredDetector
from copperline.workflows.notebook.boards import Boards
from copperline.workflows.notebook.parameters import Parameters
from copperline.workflows.notebook.place import Place
from copperline.workflows.simulated_inspection import inspect_as_made
from copperline.workflows.training import register_model
from copperline.workspace import Workspace

STATION = "notebook"


def training_config(parameters: Parameters, boards: Boards) -> TrainConfig:
    """The product's settings of training, validated after every epoch for the sake of the curves."""
    rescan = {"rescan": 0.0} if boards.source == "synthetic" else {}  # drawn with rough edges already
    return TrainConfig(epochs=parameters.epochs, seed=parameters.seed, validate_every=1, **rescan)


def train_here(
    place: Place, dataset: BoardDataset, config: TrainConfig, tell: Callable[[str], None] = print
) -> TrainedModel:
    """Trains with the engine of this place; chooses the operating point on validation, and exports to ONNX.

    Args:
        tell: is given a line when the workers start, and one for each epoch.

    Raises:
        CopperlineError: see `copperline.training.fit`; or another training holds the workspace.
    """
    space = Workspace(place.settings)
    with space.locked():
        trained = fit(
            dataset,
            config,
            space.new_run(),
            place.settings,
            listeners=[EpochLines(tell)],
            engine=engine_here(place.settings),
            tell=tell,
        )
    if trained is None:
        raise TrainingError(
            "expected to be the main process of the training, found RANK above 0", fix="start the notebook by itself"
        )
    return trained


def register_here(
    place: Place, trained: TrainedModel, dataset: BoardDataset, measured: MeasuredDetector, *, promote: bool
) -> ModelVersion:
    """Registers the model with its card and writes its report.

    Args:
        measured: on the test split; its figures are in the card.
        promote: make it the champion at once; the first version is that anyhow.

    Raises:
        ModelError: the registry cannot be written.
    """
    settings = place.settings
    version = register_model(trained, dataset, settings, test=measured.evaluation)
    measured.write_report(Workspace(settings).reports / f"{version.name}-{version.version}", trained.history)
    if promote:
        promote_model(settings, str(version.version), reason="asked for in the notebook, by PROMOTE")
    return open_registry(settings).get(str(version.version))


def inspect_here(settings: Settings, version: ModelVersion, dataset: BoardDataset) -> BatchSummary:
    """Inspects the test split with the registered version into the warehouse, see `inspect_as_made`."""
    detector = Detector.load(str(version.version), settings=settings)
    pairs = dataset.split("test")
    return inspect_as_made(settings, detector, pairs, station_id=STATION, version=version.version).batch
