"""Training runs in MLflow: parameters, metrics and curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from copperline import mlflow_store
from copperline.settings import Settings
from copperline.training.config import TrainConfig

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT = "training"


class TrackedRun:
    """One MLflow run; listens to the training loop."""

    def __init__(self, client: MlflowClient, run_id: str, settings: Settings) -> None:
        self.client, self.run_id, self.settings = client, run_id, settings

    def on_step(self, step: int, total_steps: int, loss: float) -> None:
        """Steps are too many for a database; epochs are logged."""

    def on_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        self.log(metrics, epoch)

    def log(self, metrics: Mapping[str, float], step: int = 0) -> None:
        with mlflow_store.store_errors(self.settings):
            for name, value in metrics.items():
                self.client.log_metric(self.run_id, name, value, step=step)


@contextmanager
def tracked_run(settings: Settings, config: TrainConfig, facts: Mapping[str, str]) -> Iterator[TrackedRun]:
    """An MLflow run with the settings as parameters and `facts` as tags; FAILED if the block raises."""
    client = mlflow_store.client(settings)
    experiment = mlflow_store.experiment_id(client, settings, EXPERIMENT)
    with mlflow_store.store_errors(settings):
        run_id = client.create_run(experiment, tags=dict(facts)).info.run_id
        for name, value in config.model_dump(exclude_none=True).items():
            client.log_param(run_id, name, value)
    status = "FAILED"
    try:
        yield TrackedRun(client, run_id, settings)
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        with mlflow_store.store_errors(settings):
            client.set_terminated(run_id, status=status)
