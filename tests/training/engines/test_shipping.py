"""What is sent to the nodes; that it arrives there is tested with a cluster."""

import dataclasses
import os
import tempfile
from pathlib import Path

import pytest

from copperline.data.golden import is_golden
from copperline.errors import ClusterError, DataError
from copperline.training.engines import TrainingJob, shipping
from copperline.training.engines.node_folder import private_folder


def test_each_file_is_sent_once_and_the_job_finds_it_under_its_new_name(job: TrainingJob, tmp_path: Path) -> None:
    init = tmp_path / "model.onnx"
    init.write_bytes(b"weights")
    golden = dataclasses.replace(job.pairs[0], reference_path=job.pairs[0].test_path)
    job = dataclasses.replace(job, validation_pairs=[golden, *job.pairs[1:3]], init=init)
    names = shipping._names(job)
    sent = dict(file for chunk in shipping._chunks(names) for file in chunk)
    assert len(sent) == len(names) == 2 * len(job.pairs) + 1
    located = shipping._located(job, names)
    for before, after in zip(
        (*job.pairs, *job.validation_pairs), (*located.pairs, *located.validation_pairs), strict=True
    ):
        assert sent[str(after.test_path)] == before.test_path.read_bytes()
        assert after.reference_path is not None and before.reference_path is not None
        assert sent[str(after.reference_path)] == before.reference_path.read_bytes()
    assert is_golden(located.validation_pairs[0])
    assert sent[str(located.init)] == b"weights"


def test_chunks_are_bounded(job: TrainingJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "CHUNK_BYTES", 1000)
    chunks = list(shipping._chunks(shipping._names(job)))
    assert len(chunks) > 1
    assert all(len(chunk) == 1 or sum(len(content) for _, content in chunk) <= 1000 for chunk in chunks)


def test_a_file_that_is_missing_is_named(job: TrainingJob, tmp_path: Path) -> None:
    gone = dataclasses.replace(job.pairs[0], test_path=tmp_path / "gone.png")
    names = shipping._names(dataclasses.replace(job, pairs=[gone]))
    with pytest.raises(DataError, match=r"gone\.png: the file cannot be read"):
        list(shipping._chunks(names))


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="rights of files are those of Unix")
def test_images_are_kept_from_other_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = private_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert private_folder() == folder
    folder.chmod(0o777)
    with pytest.raises(ClusterError, match="a folder of this user alone"):
        private_folder()
