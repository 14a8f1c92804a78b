from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from copperline import mlflow_store
from copperline.errors import ModelError
from copperline.registry import read_run
from copperline.settings import Settings


def test_the_curves_of_a_run(settings: Settings) -> None:
    store = mlflow_store.client(settings)
    run_id = store.create_run(mlflow_store.experiment_id(store, settings, "training")).info.run_id
    store.log_param(run_id, "epochs", 2)
    for epoch, loss in ((1, 3.0), (2, 2.0), (2, 1.5)):  # the second epoch again, after a resumption
        store.log_metric(run_id, "loss", loss, step=epoch, timestamp=int(loss * -1000) + 10**12)
    store.log_metric(run_id, "val_map50", 0.9, step=2)
    store.set_terminated(run_id)

    run = read_run(settings, run_id)
    assert run is not None
    assert run.curves == {"loss": ((1, 3.0), (2, 1.5)), "val_map50": ((2, 0.9),)}
    assert (run.status, run.parameters) == ("FINISHED", {"epochs": "2"})
    assert run.ended is not None
    assert abs(datetime.now(UTC) - run.ended) < timedelta(minutes=5)


def test_a_run_that_is_not_there(settings: Settings, fresh_settings: Settings) -> None:
    assert read_run(settings, "0" * 32) is None
    (settings.workspace / "registry.db").unlink()
    with pytest.raises(ModelError, match=r"registry\.db: expected the store that has the run"):
        read_run(settings, "0" * 32)
