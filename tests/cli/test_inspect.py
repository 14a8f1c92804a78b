"""`copperline inspect` of many boards: by folder, URL or Snowflake stage, on Ray or not, again after it was killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from copperline.data.synthetic import write_synthetic_dataset
from copperline.stage import StagePath
from copperline.stage.snowflake_files import put_bytes

Run = Callable[..., Any]
MODEL = ("--model", "builtin:golden-only")


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six boards of 320 px, each with its reference."""
    folder = tmp_path_factory.mktemp("of-cli-inspect") / "boards"
    write_synthetic_dataset(folder, train=5, test=1, size=320, processes=1)
    return folder


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COPPERLINE_THREADS", "1")
    monkeypatch.setenv("COPPERLINE_STAGE_CLOCK_TOLERANCE_S", "0")
    return tmp_path / "workspace"


def one_line(ran: Any, *parts: str) -> None:
    assert ran.status == 1, ran.out
    assert ran.err.count("\n") == 1, ran.err
    assert ran.err.startswith("error: ")
    for part in parts:
        assert part in ran.err


def test_a_second_run_goes_on_where_the_first_was(copperline: Run, boards: Path, workspace: Path) -> None:
    at = ("inspect", boards, *MODEL, "--workspace", workspace)
    first = copperline(*at, "--json").json
    assert (first["inspected"], first["already_inspected"], first["new"]) == (6, 0, 6)

    second = copperline(*at)
    assert second.status == 0
    assert "6 boards were inspected already; --again inspects them too." in second.out

    test_image = next(boards.rglob("*_test.*"))
    test_image.write_bytes(test_image.read_bytes())  # the same content, but who knows that without reading it?
    third = copperline(*at, "--json").json
    assert (third["inspected"], third["already_inspected"], third["new"]) == (1, 5, 0)

    again = copperline(*at, "--again", "--json").json
    assert (again["inspected"], again["already_inspected"], again["new"]) == (6, 0, 0)
    dry = copperline(*at, "--dry-run", "--json").json
    assert (dry["inspected"], dry["already_inspected"]) == (6, 0)


def test_options_that_do_not_fit_are_said(copperline: Run, boards: Path, workspace: Path) -> None:
    at = ("--workspace", workspace, *MODEL)
    image = next(boards.rglob("*_test.*"))
    one_line(copperline("inspect", boards, "--workers", 2, *at), "are for --engine ray")
    one_line(copperline("inspect", boards, "--address", "auto", *at), "are for --engine ray")
    one_line(copperline("inspect", image, "--engine", "ray", *at), "expected a folder or URL with --engine ray")
    one_line(copperline("inspect", boards, "--picture", "p.png", *at), "expected one image with --picture")
    one_line(copperline("inspect", "s3://key:hush@boards/lot", *at), "without user name, key or password")
    one_line(copperline("inspect", "abc://boards/lot", *at), "expected a URL of a known kind")


def test_no_cluster_is_said_in_time(copperline: Run, boards: Path, workspace: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    at = ("inspect", boards, *MODEL, "--workspace", workspace, "--engine", "ray")
    start = time.monotonic()
    one_line(copperline(*at, "--address", "127.0.0.1:1"), "127.0.0.1:1: expected a Ray cluster")
    one_line(copperline(*at, "--address", "nowhere"), "HOST:PORT")
    assert time.monotonic() - start < 30


def test_a_missing_ray_is_said(copperline: Run, boards: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    ran = copperline("inspect", boards, *MODEL, "--workspace", workspace, "--engine", "ray")
    one_line(ran, "pip install 'copperline[ray]'")


def test_boards_of_an_object_store_are_inspected(
    copperline: Run, s3: Any, boards: Path, workspace: Path, tmp_path: Path
) -> None:
    keys = upload(s3, boards, times=1)
    at = ("--workspace", workspace, *MODEL)
    one_line(copperline("inspect", "s3://nowhere/lot", *at), "no such bucket")
    one_line(copperline("inspect", "s3://boards/empty", *at), "expected a folder with board images, found none")
    one_line(copperline("inspect", "s3://boards/lot/gone.png", *at), "no such file")

    image = f"s3://boards/{keys[0]}"
    one = copperline("inspect", image, *at, "--picture", tmp_path / "picture.png", "--json").json
    assert one["image"] == image
    assert (tmp_path / "picture.png").stat().st_size > 1000
    found = copperline("inspect", "s3://boards/lot", *at, "--json").json
    assert (found["inspected"], found["skipped"]) == (6, [])


def test_wrong_keys_are_said(
    copperline: Run, s3: Any, s3_anew: Callable[..., None], s3_checks_keys: Callable[[], None], workspace: Path
) -> None:
    s3_checks_keys()
    s3_anew(AWS_SECRET_ACCESS_KEY="hush")
    ran = copperline("inspect", "s3://boards/lot", "--workspace", workspace, *MODEL)
    one_line(ran, "s3://boards/lot: the object store refuses access")
    assert "hush" not in ran.err


def test_boards_on_a_snowflake_stage_are_inspected_once(
    copperline: Run, snowpark: Any, boards: Path, workspace: Path
) -> None:
    lot = StagePath("PCB_CV", "PUBLIC", "MODEL_STAGE", "lot 7")
    at = ("inspect", "@model_stage/lot 7", *MODEL, "--workspace", workspace)
    one_line(copperline(*at), "expected a folder with board images, found none")
    files = sorted(path for path in boards.rglob("*_te*") if path.is_file())
    for file in files[:-2]:
        put_bytes(snowpark, lot / file.name, file.read_bytes())
    time.sleep(1.1)  # a stage tells whole seconds
    first = copperline(*at, "--json").json
    assert (first["inspected"], first["new"], first["skipped"]) == (5, 5, [])
    for file in files[-2:]:
        put_bytes(snowpark, lot / file.name, file.read_bytes())
    put_bytes(snowpark, lot / "damaged.png", b"no image")
    second = copperline(*at, "--json").json
    assert (second["inspected"], second["already_inspected"], second["new"]) == (1, 5, 1)
    (skipped,) = second["skipped"]
    assert skipped["path"] == "@PCB_CV.PUBLIC.MODEL_STAGE/lot 7/damaged.png"

    local = copperline("inspect", boards, *MODEL, "--workspace", workspace.with_name("of-folder"), "--json").json
    assert local["defects"] == first["defects"] + second["defects"]
    with closing(sqlite3.connect(workspace / "warehouse.db")) as database:
        paths = {row[0] for row in database.execute("SELECT image_path FROM inspections")}
        references = {row[0] for row in database.execute("SELECT reference_path FROM inspections")}
    assert all(path.startswith("@PCB_CV.PUBLIC.MODEL_STAGE/lot 7/") for path in paths | references)
    assert len(paths) == 6

    image = sorted(paths)[0]
    assert copperline("inspect", image, *MODEL, "--workspace", workspace, "--json").json["image"] == image
    one_line(copperline("inspect", f"{image[:-8]}gone.png", *MODEL, "--workspace", workspace), "found no such file")
    one_line(
        copperline("inspect", "@MODEL_STAGE/../x", *MODEL, "--workspace", workspace), "a path that a stage can have"
    )
    one_line(copperline("inspect", "@1", *MODEL, "--workspace", workspace), "expected a place on a Snowflake stage")


def test_a_network_that_is_cut_ends_the_batch_which_goes_on_later(
    copperline: Run, snowpark: Any, boards: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snowflake.connector.errors import OperationalError

    lot = StagePath("PCB_CV", "PUBLIC", "MODEL_STAGE", "lot")
    for file in (path for path in boards.rglob("*_te*") if path.is_file()):
        put_bytes(snowpark, lot / file.name, file.read_bytes())
    time.sleep(1.1)
    real, left = snowpark.file, 7

    class Cut:
        def get(self, place: str, target: str) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise OperationalError(msg="While getting file(s) there was an error: 'reset'", errno=253002)
            return real.get(place, target)

    at = ("inspect", "@MODEL_STAGE/lot", *MODEL, "--workspace", workspace)
    with monkeypatch.context() as patched:
        patched.setattr(type(snowpark), "file", Cut())
        one_line(copperline(*at), "@PCB_CV.PUBLIC.MODEL_STAGE/lot/")
    rest = copperline(*at, "--json").json
    assert rest["already_inspected"] >= 1
    assert rest["inspected"] == rest["new"] == 6 - rest["already_inspected"]


def upload(s3: Any, boards: Path, times: int) -> list[str]:
    """Each board so many times, under other names; the keys of the test images."""
    keys = []
    for image in sorted(boards.rglob("*_test.*")):
        board_id = image.stem.removesuffix("_test")
        (reference,) = image.parent.glob(f"{board_id}_temp.*")
        for i in range(times):
            for path, kind in ((image, "test"), (reference, "temp")):
                s3.put_object(Bucket="boards", Key=f"lot/N{i}-{board_id}_{kind}{path.suffix}", Body=path.read_bytes())
            keys.append(f"lot/N{i}-{board_id}_test{image.suffix}")
    return keys


COLUMNS = "inspection_id, image_path, reference_path, image_sha256, call, defect_count, registration_score"
DEFECTS = "inference_id, detected_class, confidence_score, bbox_x_center, bbox_y_center, bbox_width, bbox_height"


def rows(workspace: Path) -> tuple[list[Any], list[Any]]:
    with closing(sqlite3.connect(workspace / "warehouse.db")) as database:
        return (
            database.execute(f"SELECT {COLUMNS} FROM inspections ORDER BY inspection_id").fetchall(),
            database.execute(f"SELECT {DEFECTS} FROM defect_logs ORDER BY inference_id").fetchall(),
        )


def test_a_killed_run_on_ray_started_again_does_what_is_missing(
    copperline: Run, s3: Any, boards: Path, workspace: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    total = len(upload(s3, boards, times=12))
    order = ["inspect", "s3://boards/lot", *MODEL, "--workspace", str(workspace), "--json"]
    order += ["--engine", "ray", "--workers", "2"]
    command = [sys.executable, "-m", "copperline", *order]
    environment = {**os.environ, "RAY_worker_niceness": "0", "OMP_NUM_THREADS": "1"}
    log = tmp_path / "log"
    with log.open("wb") as out:
        driver = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
        try:
            deadline = time.monotonic() + 120
            while not 0 < written(workspace) < total:
                assert driver.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.02)
            os.kill(driver.pid, signal.SIGKILL)
        finally:
            driver.kill()
            driver.wait(timeout=30)
    before = written(workspace)
    assert 0 < before < total
    deadline = time.monotonic() + 30
    while not log.read_text().endswith("\n"):  # by another process, which notices that this one is gone
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (said,) = log.read_text().splitlines()
    assert said.startswith("error: the process was ended")
    assert "start the command again" in said

    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    (line,) = ended.stdout.splitlines()
    assert f'"inspected": {total - before}, "already_inspected": {before}, "new": {total - before}' in line

    other = tmp_path / "undisturbed"
    assert copperline("inspect", "s3://boards/lot", *MODEL, "--workspace", other, "--json").json["new"] == total
    assert rows(workspace) == rows(other)


def written(workspace: Path) -> int:
    """Rows that are there; none before the warehouse is."""
    try:
        with closing(sqlite3.connect(f"file:{workspace / 'warehouse.db'}?mode=ro", uri=True, timeout=5)) as database:
            return int(database.execute("SELECT COUNT(*) FROM inspections").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
