"""The MLflow run that trained a version: its state, its settings, and its curves by epoch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from copperline.errors import ModelError
from copperline.mlflow_store import client, display_uri, store_errors, store_exists
from copperline.settings import Settings


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A run.

    Attributes:
        run_id: in MLflow.
        status: `FINISHED`, `FAILED`, `KILLED` or `RUNNING`.
        started: UTC.
        ended: UTC; None: not ended.
        parameters: the settings of the run.
        curves: metric -> (step, value), by step; the steps of a training run are its epochs, from 1. A step that was
            logged twice, as after a resumption, counts as it was logged last.
    """

    run_id: str
    status: str
    started: datetime
    ended: datetime | None
    parameters: dict[str, str]
    curves: dict[str, tuple[tuple[int, float], ...]]


def read_run(settings: Settings, run_id: str) -> TrainingRun | None:
    """The run, or None if the store has none of that id; raises ModelError if the store cannot be used."""
    from mlflow.exceptions import MlflowException

    if not store_exists(settings):
        raise ModelError(
            f"expected the store that has the run {run_id}, found none",
            where=display_uri(settings),
            fix="restore the file, or correct the setting registry_uri",
        )
    store = client(settings)
    with store_errors(settings):
        try:
            run = store.get_run(run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        curves = {}
        for name in sorted(run.data.metrics):
            logged = sorted(store.get_metric_history(run_id, name), key=lambda metric: metric.timestamp)
            curves[name] = tuple(sorted({metric.step: float(metric.value) for metric in logged}.items()))
    return TrainingRun(
        run_id=run_id,
        status=str(run.info.status),
        started=_utc(run.info.start_time),
        ended=_utc(run.info.end_time) if run.info.end_time else None,
        parameters=dict(run.data.params),
        curves=curves,
    )


def _utc(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
