"""A real Ray cluster on this machine, whose nodes are killed and joined while it trains.

All tests of this file share its head and one connection to it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from copperline.data.synthetic import write_synthetic_dataset
from copperline.errors import ClusterError, TrainingError
from copperline.training.engines import RayWorkers, TrainingJob, on_ray
from copperline.training.loop import TrainResult

ray = pytest.importorskip("ray", reason="Ray is not installed")

Same = Callable[[TrainResult, TrainResult], bool]
STORE = 128 * 2**20


class Nodes:
    """Nodes of one CPU each, beside a head that has none and so takes no worker."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.address = str(cluster.address)
        self._nodes: list[Any] = []

    def join(self) -> None:
        self._nodes.append(self.cluster.add_node(num_cpus=1, object_store_memory=STORE))

    def kill(self) -> None:
        """The newest."""
        self.cluster.remove_node(self._nodes.pop(), allow_graceful=False)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    from ray.cluster_utils import Cluster

    from copperline.cluster import ray_session

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patched.setenv("OMP_NUM_THREADS", "1")
        patched.setattr(on_ray, "LOOK_FOR_NODES_S", 1.0)
        head = {"num_cpus": 0, "object_store_memory": STORE, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            found = Nodes(cluster)
            found.join()
            with ray_session(found.address, cpus=1):
                yield found
        finally:
            cluster.shutdown()


def workers(nodes: Nodes, count: int, **options: Any) -> RayWorkers:
    return RayWorkers(count, nodes.address, gpus_per_worker=0, **{"wait_s": 30.0, "stall_s": 120.0, **options})


def test_too_small_a_cluster_is_an_error_after_the_limit(trial: Any, job: TrainingJob, nodes: Nodes) -> None:
    begun = time.monotonic()
    with pytest.raises(
        ClusterError, match=r"expected 2 free places .* 1 CPU each within 2 s, found 1; .*--min-workers"
    ):
        trial.train(workers(nodes, 2, wait_s=2), job)
    assert time.monotonic() - begun < 60


def test_more_workers_than_micro_batches_are_refused_before_anything_is_started(trial: Any, job: TrainingJob) -> None:
    with pytest.raises(TrainingError, match="expected at most 2 workers"):
        trial.train(RayWorkers(3, "192.0.2.1:6379", wait_s=600), job)


def test_a_loss_that_is_not_finite_is_told_as_it_was_and_not_tried_again(
    trial: Any, diverging: TrainingJob, nodes: Nodes
) -> None:
    with pytest.raises(TrainingError, match=r"the loss is not finite in epoch 1, step \d .*--learning-rate"):
        trial.train(workers(nodes, 1), diverging)
    assert len(trial.lines) == 1


def test_a_lost_node_costs_no_bit_of_the_result_and_one_that_joins_is_used(
    trial: Any,
    job: TrainingJob,
    undisturbed: TrainResult,
    same: Same,
    nodes: Nodes,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two nodes; one is killed in the middle of an epoch; the other goes on alone until a third joins."""
    nodes.join()
    trial.at = {5: nodes.kill}
    trial.when = {"no place for more": nodes.join}
    result = trial.train(workers(nodes, 2, min_workers=1, wait_s=5), job)
    assert same(result, undisturbed)
    assert trial.epochs == [1, 2, 3]
    first, lost, fewer, more = trial.lines
    assert first.startswith(
        "Training on the Ray cluster: 2 workers with 1 core each; 8 crops a step, 4 for each worker"
    )
    assert "(failure 1 of at most 3). Started again on the Ray cluster: 2 workers" in lost
    assert fewer.startswith(
        "The cluster has had no place for more workers for 5 s. Started again on the Ray cluster: 1 w"
    )
    assert more.startswith("The cluster has a place for more workers. Started again on the Ray cluster: 2 workers")
    assert all("of them done before" in line for line in (lost, fewer, more))
    out, err = capsys.readouterr()
    assert "raylet" not in out + err  # Ray's own account of it is kept in a file
    assert "aylet" in (trial.folder / "workers" / "ray-messages.log").read_text()


def test_a_killed_command_is_resumed_without_the_cluster(
    nodes: Nodes, tmp_path: Path, copperline: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    boards, workspace = tmp_path / "boards", tmp_path / "workspace"
    write_synthetic_dataset(boards, train=6, test=1, size=160, processes=1)
    data = ["--data", boards, "--workspace", workspace]
    options = ["--epochs", 200, "--crops-per-pair", 1, "--batch-size", 2, "--micro-batch", 1]
    on_cluster = ["--engine", "ray", "--workers", 1, "--address", nodes.address, "--gpus-per-worker", 0]
    monkeypatch.setenv("COPPERLINE_THREADS", "1")
    command = subprocess.Popen(
        [sys.executable, "-m", "copperline", "train", *map(str, [*data, *options, *on_cluster])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 90
        while not (kept := list(workspace.glob("runs/*/checkpoint.pt"))) and time.monotonic() < deadline:
            assert command.poll() is None, command.communicate()
            time.sleep(0.05)
        assert len(kept) == 1
    finally:
        command.kill()
        command.communicate()
    # Nothing of it is left on the cluster: its one CPU is free again.
    while ray.available_resources().get("CPU", 0) < 1 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ray.available_resources()["CPU"] >= 1
    _shorten(kept[0])
    resumed = copperline("train", *data, "--resume", "last", "--json")
    assert resumed.status == 0, resumed.err
    assert resumed.json["run"] == str(kept[0].parent)
    assert "of them done before" in resumed.err


def _shorten(path: Path) -> None:
    """Lets a run end two epochs after its checkpoint, so that the test need not wait for all of them."""
    from dataclasses import replace

    from copperline.training.checkpoint import Checkpoint

    checkpoint = Checkpoint.load(path)
    shorter = checkpoint.config.model_copy(update={"epochs": checkpoint.epoch + 2})
    replace(checkpoint, config=shorter).save(path.parent)
