"""Many boards on a cluster of real Ray nodes: one is lost in the middle, in the end all are."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from copperline.cluster import ray_session
from copperline.errors import ClusterError, StageError
from copperline.inspection import DEFAULT_POLICY, Detector, ImagePair, pairs_in
from copperline.inspection.ray_batch import inspect_on_ray
from copperline.inspection.ray_rounds import Limits
from copperline.inspection.ray_worker import BOARDS, OUTCOMES, Inspector, Job
from copperline.settings import Settings
from copperline.warehouse import open_warehouse, write_inspections
from copperline.warehouse.tables import inspections

STORE = 80 << 20  # bytes; Ray takes no less than 75 MiB
LIMITS = Limits(start_s=120, answer_s=60)


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch, records_without_errors: None) -> Iterator[Any]:
    """A head without CPUs and two nodes of one CPU each."""
    pytest.importorskip("ray", reason="Ray is not installed")
    from ray.cluster_utils import Cluster

    settings = {
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # beside other tests, nice workers would not get on
        "RAY_health_check_period_ms": "500",
        "RAY_health_check_timeout_ms": "1000",
        "RAY_health_check_failure_threshold": "3",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    common = {"object_store_memory": STORE, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **common})
    try:
        workers = [cluster.add_node(num_cpus=1, object_store_memory=STORE) for _ in range(2)]
        yield cluster, workers
    finally:
        cluster.shutdown()


@pytest.fixture
def many(tmp_path: Path, folder: Path) -> tuple[ImagePair, ...]:
    """200 boards, as links to four of `folder`."""
    boards = tmp_path / "many"
    boards.mkdir()
    for i in range(200):
        for kind in ("test", "temp"):
            (boards / f"N{i:03}_{kind}.png").symlink_to(folder / f"B{(1, 2, 3, 5)[i % 4]}_{kind}.png")
    return pairs_in(boards)


def test_a_lost_node_costs_no_board_and_the_loss_of_all_is_said(
    nodes: Any, detector: Detector, many: tuple[ImagePair, ...], settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    cluster, workers = nodes
    engine = open_warehouse(settings.warehouse)
    write = partial(write_inspections, engine, boards_per_transaction=64)
    lost: list[int] = []

    def lose_one(done: int, total: int) -> None:
        if len(lost) < 1 and done >= 20:
            lost.append(done)
            cluster.remove_node(workers[0], allow_graceful=False)

    def lose_other(done: int, total: int) -> None:
        if len(lost) < 2 and done >= 20:
            lost.append(done)
            cluster.remove_node(workers[1], allow_graceful=False)

    with ray_session(cluster.address, cpus=2):
        inspect = partial(inspect_on_ray, detector, workers=2, station_id="AOI-1", limits=LIMITS)
        summary = inspect(many, write, progress=lose_one)
        assert lost[0] < 200
        assert (summary.inspected, summary.new, summary.skipped) == (200, 200, ())
        with engine.connect() as connection:
            columns = func.count(), func.count(inspections.c.board_id.distinct())
            assert connection.execute(select(*columns)).one() == (200, 200)

        start = time.monotonic()
        with pytest.raises(ClusterError, match="start the command again") as failed:
            inspect(many, write, progress=lose_other)
        assert time.monotonic() - start < 150
        assert "\n" not in str(failed.value)
    engine.dispose()
    assert capfd.readouterr().out == ""


@pytest.fixture
def job(detector: Detector) -> Job:
    return Job(
        model=detector.model.path.read_bytes(),
        model_path="champion.onnx",
        model_name=detector.name,
        model_version=detector.version,
        operating_point=detector.operating_point,
        tiling=detector.model.tiling,
        policy=DEFAULT_POLICY,
        station_id="AOI-1",
        try_first=None,
    )


def answer(job: Job, pair: ImagePair) -> Any:
    (pickled,) = Inspector(job)({BOARDS: [pickle.dumps(((0, pair),))]})[OUTCOMES]
    return pickle.loads(pickled)


def test_a_node_that_does_not_see_the_folder_is_named(job: Job, many: tuple[ImagePair, ...], tmp_path: Path) -> None:
    blind = replace(job, try_first=tmp_path / "of-the-driver-alone.png")
    said = answer(blind, many[0])
    assert isinstance(said, ClusterError)
    assert "of-the-driver-alone.png: the node " in str(said)
    assert "put the boards where all nodes see them" in str(said)


def test_a_store_that_a_node_cannot_reach_ends_the_batch_and_skips_no_board(job: Job, s3_anew: Any) -> None:
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    s3_anew(AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b", **nowhere)
    said = answer(job, ImagePair("B1", "s3://boards/B1_test.png", None))
    assert isinstance(said, StageError)
    assert "cannot be reached" in str(said)


def test_a_model_that_cannot_be_loaded_is_named_by_its_own_file(job: Job, many: tuple[ImagePair, ...]) -> None:
    said = answer(replace(job, model=b"no model"), many[0])
    assert str(said).startswith("champion.onnx: expected an ONNX model")
