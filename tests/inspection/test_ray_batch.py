"""Many boards on Ray: the same rows as without it, whatever happens to the workers."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from copperline.cluster import ray_session
from copperline.data.images import encode_image
from copperline.errors import ClusterError, ModelError, WarehouseError
from copperline.inspection import Detector, ImagePair, inspect_pairs, pairs_in
from copperline.inspection.ray_batch import Work, chunked, inspect_on_ray
from copperline.inspection.ray_rounds import Limits
from copperline.settings import Settings
from copperline.warehouse import InspectionRecord, open_warehouse, write_inspection, write_inspections
from copperline.warehouse.tables import defect_logs, inspections

SOON = Limits(start_s=120, answer_s=60)


@given(
    st.lists(st.integers(0, 20 << 20), min_size=1, max_size=200),
    st.integers(1, 8),
    st.sets(st.integers(0, 199), max_size=5),
)
def test_chunks_hold_each_board_once(sizes: list[int], workers: int, single: set[int]) -> None:
    boards = {i: ImagePair(f"B{i}", Path(f"{i}.png"), None, size=size) for i, size in enumerate(sizes)}
    alone = [i for i in single if i in boards]
    chunks = chunked(boards, workers, alone)
    assert sorted(place for chunk in chunks for place, _ in chunk) == list(boards)
    assert [len(chunk) for chunk in chunks[: len(alone)]] == [1] * len(alone)
    assert all(len(chunk) <= 32 for chunk in chunks)
    assert all(len(chunk) == 1 or sum(pair.size for _, pair in chunk) <= 32 << 20 for chunk in chunks)


def twelve() -> Work:
    return Work({i: ImagePair(f"B{i}", Path(f"{i}.png"), None) for i in range(12)})


def test_workers_that_are_lost_again_and_again_are_not_blamed_on_the_boards() -> None:
    """As on a node without room for a worker: five rounds in which no board is done end the batch."""
    work, lost, skipped = twelve(), ClusterError("a worker was lost", fix="see `ray status`"), list[ImagePair]()
    with pytest.raises(ClusterError, match="5 times, workers were lost before a board was done"):
        for _ in range(100):
            skipped += work.worker_lost(work.plan(2), lost)
    assert len(skipped) <= 1


def test_a_worker_that_is_lost_after_its_last_answer_is_no_fault() -> None:
    work, lost = twelve(), ClusterError("a worker was lost")
    for _ in range(2):
        work.worker_lost(work.plan(2), lost)
    plan = work.plan(2)
    assert plan.alone
    work.done(place for chunk in plan.chunks for place, _ in chunk)
    assert work.worker_lost(plan, lost) == []
    rest = work.plan(2)
    assert not rest.alone
    assert {place for chunk in rest.chunks for place, _ in chunk} == set(work.missing)


def test_no_node_left_is_said() -> None:
    with pytest.raises(ClusterError, match="expected a node with a CPU in the cluster, found none left"):
        twelve().plan(0)


@pytest.fixture(scope="module")
def ray_here(records_without_errors: None) -> Iterator[None]:
    pytest.importorskip("ray", reason="Ray is not installed")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_worker_niceness", "0")  # beside other tests, nice workers would not get on
        with ray_session(None, cpus=2, object_store_mib=80):
            yield


@pytest.fixture
def many(tmp_path: Path, folder: Path) -> tuple[ImagePair, ...]:
    """300 boards, as links to the five of `folder`; one in five is damaged."""
    boards = tmp_path / "many"
    boards.mkdir()
    for i in range(300):
        for kind in ("test", "temp"):
            (boards / f"N{i:03}_{kind}.png").symlink_to(folder / f"B{i % 5 + 1}_{kind}.png")
    return pairs_in(boards)


def rows(url: str) -> list[tuple[Any, ...]]:
    """All inspections and detections, but for the times."""
    engine = open_warehouse(url, read_only=True)
    with engine.connect() as connection:
        found = [
            tuple(row)
            for table, times in ((inspections, {"inspected_at", "latency_ms"}), (defect_logs, {"inference_timestamp"}))
            for row in connection.execute(select(*(column for column in table.columns if column.name not in times)))
        ]
    engine.dispose()
    return sorted(found, key=repr)


@pytest.fixture
def undisturbed(detector: Detector, many: tuple[ImagePair, ...], tmp_path: Path) -> list[tuple[Any, ...]]:
    """The rows of the loop without Ray."""
    url = f"sqlite:///{tmp_path / 'undisturbed.db'}"
    engine = open_warehouse(url)
    inspect_pairs(detector, many, partial(write_inspection, engine), station_id="AOI-1")
    engine.dispose()
    return rows(url)


@pytest.fixture
def write(settings: Settings) -> Iterator[Callable[[Sequence[InspectionRecord]], int]]:
    engine = open_warehouse(settings.warehouse)
    yield partial(write_inspections, engine, boards_per_transaction=64)
    engine.dispose()


Write = Callable[[Sequence[InspectionRecord]], int]


@pytest.mark.usefixtures("ray_here")
def test_rows_are_those_without_ray_to_the_last_bit(
    detector: Detector,
    many: tuple[ImagePair, ...],
    undisturbed: list[Any],
    write: Write,
    settings: Settings,
    capfd: pytest.CaptureFixture[str],
) -> None:
    steps: list[tuple[int, int]] = []
    summary = inspect_on_ray(
        detector, many, write, workers=2, station_id="AOI-1", progress=lambda *step: steps.append(step), limits=SOON
    )
    assert (summary.inspected, summary.new, len(summary.skipped)) == (240, 240, 60)
    assert [Path(board.path).name for board in summary.skipped] == [f"N{i:03}_test.png" for i in range(3, 300, 5)]
    assert all("truncated or damaged" in board.reason for board in summary.skipped)
    assert rows(settings.warehouse) == undisturbed
    assert steps[-1] == (300, 300)
    assert steps == sorted(steps)
    assert len(steps) > 8
    assert capfd.readouterr() == ("", ""), "Ray's own words belong into its log"


def workers_alive() -> list[int]:
    """Processes of actors, by their name."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdigit() and b"MapWorker" in (process / "cmdline").read_bytes():
                parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
                if is_mine(int(parent)):
                    found.append(int(process.name))
    return found


def is_mine(process: int) -> bool:
    """Whether a process descends from this one: others on the machine may have a Ray too."""
    while process > 1:
        if process == os.getpid():
            return True
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return False


@pytest.mark.usefixtures("ray_here")
def test_a_killed_worker_costs_no_board_and_doubles_none(
    detector: Detector, many: tuple[ImagePair, ...], undisturbed: list[Any], write: Write, settings: Settings
) -> None:
    killed: list[int] = []

    def kill_one(done: int, total: int) -> None:
        if not killed:
            killed.append(workers_alive()[0])
            os.kill(killed[0], signal.SIGKILL)

    summary = inspect_on_ray(detector, many, write, workers=2, station_id="AOI-1", progress=kill_one, limits=SOON)
    assert killed
    assert (summary.inspected, summary.new, len(summary.skipped)) == (240, 240, 60)
    assert rows(settings.warehouse) == undisturbed


@pytest.mark.usefixtures("ray_here")
def test_a_board_that_ends_each_worker_is_found_and_skipped(
    detector: Detector, many: tuple[ImagePair, ...], write: Write, tmp_path: Path
) -> None:
    """Its image is a pipe: whoever opens it is killed, as the kernel kills who takes too much memory."""
    pipe = tmp_path / "P1_test.png"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)  # so that whoever opens it waits for bytes, and not for a writer
    stop, killed = threading.Event(), set[int]()

    def kill_readers() -> None:
        while not stop.wait(0.1):
            for reader in workers_alive():
                if has_open(reader, pipe):
                    os.kill(reader, signal.SIGKILL)
                    killed.add(reader)

    killer = threading.Thread(target=kill_readers)
    killer.start()
    try:
        boards = (*many[:40], ImagePair("P1", pipe, None), *many[40:60])
        summary = inspect_on_ray(detector, boards, write, workers=2, station_id="AOI-1", limits=SOON)
    finally:
        stop.set()
        killer.join()
        os.close(held)
    assert len(killed) == 4, "twice among others, twice alone"
    assert summary.inspected == 48
    (skipped,) = [board for board in summary.skipped if board.path == pipe]
    assert "ended its worker 2 times when it was inspected alone" in skipped.reason
    assert len(summary.skipped) == 13


def has_open(process: int, path: Path) -> bool:
    with contextlib.suppress(OSError):
        return any(entry.readlink() == path for entry in Path(f"/proc/{process}/fd").iterdir())
    return False


@pytest.mark.usefixtures("ray_here")
def test_what_ends_the_batch_ends_it_in_one_line_and_the_next_one_works(
    detector: Detector, many: tuple[ImagePair, ...], tmp_path: Path
) -> None:
    def full(records: Sequence[InspectionRecord]) -> int:
        raise WarehouseError("the disk is full")

    inspect = partial(inspect_on_ray, workers=2, station_id="AOI-1", limits=SOON)
    with pytest.raises(WarehouseError, match="the disk is full"):
        inspect(detector, many, full)

    # The places that the model looks at are outside of so small an image.
    image = tmp_path / "small.png"
    image.write_bytes(encode_image(np.kron(np.eye(6) * 255, np.ones((8, 8))).astype(np.uint8), ".png"))
    with pytest.raises(ModelError, match="expected finite predictions") as failed:
        inspect(detector, [ImagePair("S1", image, None)], len)
    assert "\n" not in str(failed.value)
    assert failed.value.where == str(detector.model.path)

    assert inspect(detector, many[:8], len).inspected == 7


@pytest.mark.usefixtures("ray_here")
def test_handlers_of_others_are_left_alone(
    detector: Detector, many: tuple[ImagePair, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    own = logging.StreamHandler(io.StringIO())
    logging.getLogger("ray.data").addHandler(own)
    try:
        assert inspect_on_ray(detector, many[:2], len, workers=1, station_id="AOI-1").inspected == 2
    finally:
        logging.getLogger("ray.data").removeHandler(own)
    assert own.level == logging.NOTSET
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("ray_here")
def test_too_few_cpus_are_said_in_time(detector: Detector, many: tuple[ImagePair, ...]) -> None:
    import ray

    @ray.remote(num_cpus=1)
    class Other:
        def ready(self) -> bool:
            return True

    other = Other.remote()
    try:
        ray.get(other.ready.remote(), timeout=30)
        start = time.monotonic()
        with pytest.raises(ClusterError, match="CPUs") as failed:
            inspect_on_ray(
                detector, many[:8], len, workers=2, station_id="AOI-1", limits=Limits(start_s=3, answer_s=20)
            )
        assert time.monotonic() - start < 30
        assert "\n" not in str(failed.value)
    finally:
        ray.kill(other)


@pytest.mark.usefixtures("ray_here")
def test_a_worker_that_never_answers_is_given_up(
    detector: Detector, many: tuple[ImagePair, ...], tmp_path: Path
) -> None:
    pipe = tmp_path / "P1_test.png"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)
    boards = (*many[:2], ImagePair("P1", pipe, None))
    start = time.monotonic()
    try:
        with pytest.raises(ClusterError, match="start the command again") as failed:
            inspect_on_ray(detector, boards, len, workers=1, station_id="AOI-1", limits=Limits(start_s=30, answer_s=4))
        assert "\n" not in str(failed.value)
        assert time.monotonic() - start < 45
        assert [thread.name for thread in threading.enumerate() if thread.name.startswith("ray-data")] == []
    finally:
        os.close(held)  # lets the worker go
