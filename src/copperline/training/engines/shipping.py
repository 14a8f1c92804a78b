"""The images of a data set on their way to machines that share no disk: through Ray's object store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from copperline.data import BoardPair
from copperline.errors import ClusterError
from copperline.files import atomic_folder, read_whole
from copperline.training.engines.job import TrainingJob
from copperline.training.engines.node_folder import private_folder

CHUNK_BYTES = 16 * 2**20
MARKER = ".complete"

Chunk = list[tuple[str, bytes]]
"""Names and contents of files."""


@dataclass(frozen=True)
class Shipment:
    """A job whose files lie in Ray's object store.

    Attributes:
        job: with names instead of paths.
        digest: SHA-256 of the names and contents of all files, hexadecimal.
        chunks: references to objects, each a `Chunk`.
    """

    job: TrainingJob
    digest: str
    chunks: tuple[Any, ...]


def ship(job: TrainingJob) -> Shipment:
    """Puts the files of a job into the object store of the cluster that this process is connected to.

    Raises:
        DataError: a file cannot be read.
    """
    import ray

    names = _names(job)
    digest, references = hashlib.sha256(), []
    for chunk in _chunks(names):
        for name, content in chunk:
            digest.update(f"{name}\0{len(content)}\0".encode())
            digest.update(content)
        references.append(ray.put(chunk))
    return Shipment(_located(job, names), digest.hexdigest(), tuple(references))


def unpack(shipment: Shipment, timeout_s: float) -> TrainingJob:
    """The job, with its files on this machine: written by the first of its workers, and once for runs on the same data.

    Args:
        timeout_s: how long to wait for another worker that writes them, and for each chunk.

    Raises:
        ClusterError: the wait was too long, or the folder is another user's.
        DataError: the files cannot be written.
    """
    import ray

    base = private_folder()
    folder = base / shipment.digest
    try:
        with FileLock(base / f"{shipment.digest}.lock", timeout=timeout_s):
            if not (folder / MARKER).is_file():
                with atomic_folder(folder, marker=MARKER) as temporary:
                    for reference in shipment.chunks:
                        for name, content in ray.get(reference, timeout=timeout_s):
                            (temporary / name).write_bytes(content)
                    (temporary / MARKER).touch()
    except Timeout as error:
        raise ClusterError(
            f"expected the images on this machine within {timeout_s:.0f} s, found that a worker still fetches them",
            where=folder,
            fix="check the network between the nodes, or raise COPPERLINE_TRAINING_STALL_S",
        ) from error
    names = {name: folder / name for name in map(str, _paths(shipment.job))}
    return _relocated(shipment.job, names)


def _paths(job: TrainingJob) -> list[Path]:
    """All files of a job, each once, in a stable order."""
    found: dict[Path, None] = {}
    for pair in (*job.pairs, *job.validation_pairs):
        found[pair.test_path] = None
        if pair.reference_path is not None:
            found[pair.reference_path] = None
    if job.init is not None:
        found[job.init] = None
    return list(found)


def _names(job: TrainingJob) -> dict[Path, str]:
    """A short name for each file: data sets that were put together may have files of the same name."""
    return {path: f"{number:07d}{path.suffix}" for number, path in enumerate(_paths(job))}


def _chunks(names: dict[Path, str]) -> Iterator[Chunk]:
    chunk: Chunk = []
    size = 0
    for path, name in names.items():
        content = read_whole(path)
        if chunk and size + len(content) > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append((name, content))
        size += len(content)
    if chunk:
        yield chunk


def _located(job: TrainingJob, names: dict[Path, str]) -> TrainingJob:
    return _relocated(job, {str(path): Path(name) for path, name in names.items()})


def _relocated(job: TrainingJob, places: dict[str, Path]) -> TrainingJob:
    """The job with other paths: `places` says for each path where the file lies instead."""

    def moved(pairs: Sequence[BoardPair]) -> tuple[BoardPair, ...]:
        return tuple(
            replace(
                pair,
                test_path=places[str(pair.test_path)],
                reference_path=None if pair.reference_path is None else places[str(pair.reference_path)],
            )
            for pair in pairs
        )

    init = None if job.init is None else places[str(job.init)]
    return replace(job, pairs=moved(job.pairs), validation_pairs=moved(job.validation_pairs), init=init)
