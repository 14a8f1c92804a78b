from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from copperline import errors
from copperline.errors import CopperlineError, DataError, ServiceError, TrainingError
from copperline.training.distributed import WorkerLostError
from copperline.training.engines.reports import (
    CheckpointKept,
    EpochDone,
    Failed,
    Met,
    Report,
    ReportReader,
    ReportWriter,
    StepDone,
)

TEXT = st.text(max_size=40)
REPORTS = st.one_of(
    st.builds(Met, st.integers(1, 64)),
    st.builds(StepDone, st.integers(1, 9999), st.integers(1, 9999), st.floats(allow_nan=False)),
    st.builds(EpochDone, st.integers(1, 99), st.dictionaries(TEXT, st.floats(allow_nan=False), max_size=3)),
    st.builds(CheckpointKept, st.integers(0, 99), st.integers(0, 99)),
    st.builds(Failed, st.integers(0, 9), TEXT, TEXT, st.none() | TEXT, st.none() | st.integers(1), st.none() | TEXT),
)


@given(st.lists(REPORTS, max_size=8), st.integers(0, 8))
def test_what_is_written_is_read_once_and_in_order(reports: list[Report], first: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rank0.jsonl"
        write, read = ReportWriter(path), ReportReader(path)
        for report in reports[:first]:
            write(report)
        assert read() == reports[:first]
        for report in reports[first:]:
            write(report)
        assert read() == reports[first:]
        assert read() == []


def test_a_line_that_is_still_written_waits_and_a_missing_file_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "rank0.jsonl"
    read = ReportReader(path)
    assert read() == []
    path.write_text('{"Met": {"workers": 2}}\n{"StepDone": {"step": 1, ')
    assert read() == [Met(2)]
    with path.open("a") as file:
        file.write('"total_steps": 4, "loss": 0.5}}\n')
    assert read() == [StepDone(1, 4, 0.5)]


@pytest.mark.parametrize("kind", [k for k in vars(errors).values() if isinstance(k, type) and k is not CopperlineError])
def test_an_error_of_ours_stays_the_one_that_it_was(kind: type[CopperlineError]) -> None:
    if kind.__module__ != errors.__name__:
        pytest.skip("not an error of ours")
    error = kind("expected a, found b", where="a.txt", fix="do c")
    error.line = 3
    again = Failed.of(1, error).for_people
    assert type(again) is kind
    assert str(again) == "a.txt:3: expected a, found b; do c"


def test_what_starting_again_may_mend_is_no_error_for_people() -> None:
    lost = Failed.of(0, WorkerLostError("lost touch with one of the 2 workers"))
    assert lost.consequence
    assert lost.for_people is None
    assert Failed.of(0, RuntimeError("a driver\nfailed")).for_people is None
    assert Failed.of(0, RuntimeError("a driver\nfailed")).problem == "RuntimeError: a driver"


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")]
)
def test_too_little_memory_says_what_to_lower(error: Exception) -> None:
    found = Failed.of(1, error).for_people
    assert isinstance(found, TrainingError)
    assert "worker 1 has too little memory" in str(found)
    assert "--batch-size" in str(found)


def test_errors_with_and_without_a_place_are_kept_apart() -> None:
    assert isinstance(Failed.of(0, DataError("gone", where="b.png")).for_people, DataError)
    assert isinstance(Failed.of(0, ServiceError("gone")).for_people, ServiceError)
