"""Two models on the same labelled boards of an imported data set; what came of it is kept and found again at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from copperline.data import SavedDataset, Split, load_saved, saved_dataset
from copperline.data.store import DATASET_FILE
from copperline.errors import DataError, ModelError
from copperline.evaluation import PairedComparison, compare_paired, predict_pairs
from copperline.files import atomic_file
from copperline.inspection import Detector
from copperline.registry import CatalogueEntry, ModelCard, catalogue, file_sha256
from copperline.runtime import OnnxModel
from copperline.settings import Settings
from copperline.workflows.training import DATA_HASHES
from copperline.workspace import Workspace

FOLDER = "comparisons"
FORMAT = 1
Progress = Callable[[int, int], None]


class ComparedModel(BaseModel):
    """A model as it was compared: named as it was then, and by what does not change, its file."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    sha256: str

    @classmethod
    def of(cls, entry: CatalogueEntry) -> ComparedModel:
        return cls(name=entry.name, version=entry.version, sha256=entry.sha256)


class KeptComparison(BaseModel):
    """A comparison with all that it hangs on.

    Attributes:
        first, second: the models; differences are second - first.
        dataset: its name in the workspace, when it was measured.
        data_hash: of the whole data set.
        split: whose boards were inspected.
        measured_at: UTC.
        result: the figures.
    """

    model_config = ConfigDict(frozen=True)

    format: int = Field(FORMAT, le=FORMAT)
    first: ComparedModel
    second: ComparedModel
    dataset: str
    data_hash: str
    split: Split
    measured_at: AwareDatetime
    result: PairedComparison

    def reversed(self) -> KeptComparison:
        """The same with the models changed over."""
        return self.model_copy(update={"first": self.second, "second": self.first, "result": self.result.reversed()})


def find_model(settings: Settings, name: str) -> CatalogueEntry:
    """The registered version, alias or shipped model of this name; raises ModelError if there is none or it is damaged.

    A file by its path is refused: a comparison is kept under what the registry knows of a model.
    """
    found = catalogue(settings)
    entry = found.get(name) or found.with_alias(name)
    if entry is None:
        have = ", ".join(", ".join((each.key, *each.aliases)) for each in found.entries)
        raise ModelError(f"expected a registered or shipped model, found no {name!r}; there are {have}", fix="name one")
    if entry.fault is not None:
        raise entry.fault
    return entry


def find_dataset(settings: Settings, named: Path, split: Split) -> SavedDataset:
    """The imported data set of this name or folder; raises DataError if it is none, or has no boards in `split`."""
    folder = Workspace(settings).dataset(named)
    if not (folder / DATASET_FILE).is_file():
        raise DataError(
            "expected an imported data set, whose content is known by its hash, found none",
            where=folder,
            fix=f"copperline data import {folder}",
        )
    found = saved_dataset(folder)
    if split not in found.boards:
        raise DataError(
            f"expected boards in split {split!r}, found only {', '.join(found.boards)}",
            where=folder,
            fix="choose another --split",
        )
    return found


def compare_models(
    settings: Settings,
    first: CatalogueEntry,
    second: CatalogueEntry,
    dataset: SavedDataset,
    split: Split,
    *,
    progress: Progress | None = None,
) -> KeptComparison:
    """Runs both models on the boards of a split and on the clean boards made from them, compares, and keeps the result.

    Args:
        progress: called with the number of inspections done and the number in all.

    Raises:
        DataError: the data set was changed since it was imported or a board cannot be read, or the result cannot be
            written.
        ModelError: a model's file is not the registered one or cannot be used, or finds other classes than the data.
    """
    boards, _ = load_saved(dataset.folder, splits=(split,), verify=True)
    detectors = [_detector(settings, entry) for entry in (first, second)]
    for detector in detectors:
        detector.require_classes(boards.taxonomy, dataset.name)
    pairs = boards.split(split)
    clean_boards = sum(pair.reference_path is not None for pair in pairs)
    total, done = 2 * (len(pairs) + clean_boards), 0

    def step(_: int, __: int) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    found, clean = (
        [predict_pairs(detector.predict, pairs, clean=of_clean, progress=step) for detector in detectors]
        for of_clean in (False, True)
    )
    kept = KeptComparison(
        first=ComparedModel.of(first),
        second=ComparedModel.of(second),
        dataset=dataset.name,
        data_hash=dataset.data_hash,
        split=split,
        measured_at=datetime.now(UTC),
        result=compare_paired(
            (found[0], found[1]),
            (clean[0], clean[1]),
            [pair.labels for pair in pairs],
            boards.taxonomy,
            (detectors[0].operating_point, detectors[1].operating_point),
        ),
    )
    with atomic_file(_path(settings, first.sha256, second.sha256, dataset.data_hash, split)) as temporary:
        temporary.write_text(kept.model_dump_json(indent=1), encoding="utf-8")
    return kept


def kept_comparison(
    settings: Settings, first: CatalogueEntry, second: CatalogueEntry, dataset: SavedDataset, split: Split
) -> KeptComparison | None:
    """What `compare_models` found on these boards before, or None; also if the models were given the other way round.

    Raises:
        DataError: the file is there and damaged.
    """
    for kept in kept_comparisons(settings, first, second):
        if (kept.data_hash, kept.split) == (dataset.data_hash, split):
            return kept
    return None


def kept_comparisons(settings: Settings, first: CatalogueEntry, second: CatalogueEntry) -> tuple[KeptComparison, ...]:
    """All of these two models on whatever boards, the newest first, with differences second - first.

    Raises:
        DataError: a file is there and damaged.
    """
    if not first.sha256 or not second.sha256:
        return ()
    folder, one, two = Workspace(settings).reports / FOLDER, first.sha256[:12], second.sha256[:12]
    found = [_read(path) for path in folder.glob(f"{one}-{two}-*.json")]
    found += [_read(path).reversed() for path in folder.glob(f"{two}-{one}-*.json")]
    ours = [k for k in found if (k.first.sha256, k.second.sha256) == (first.sha256, second.sha256)]
    return tuple(sorted(ours, key=lambda kept: kept.measured_at, reverse=True))


def seen_before(card: ModelCard | None, dataset: SavedDataset, split: Split) -> str | None:
    """What makes figures of a model on these boards better than they would be on new ones, or None if nothing is known.

    A clause that goes on after the model's name.
    """
    if card is None or split == "test":
        return None
    several = card.training.get(DATA_HASHES)
    if dataset.data_hash not in (card.data_hash, *(several if isinstance(several, list) else ())):
        return None
    return "was trained on these boards" if split == "train" else "had its operating point chosen on these boards"


def _detector(settings: Settings, entry: CatalogueEntry) -> Detector:
    """From the entry's own file, which is verified, and not by an alias that may have moved."""
    found = file_sha256(entry.path)
    if found != entry.sha256:
        raise ModelError(
            f"{entry.title} is damaged: expected SHA-256 {entry.sha256[:12]}..., found {found[:12]}...",
            where=entry.path,
            fix="restore the file from a backup, or compare another version",
        )
    model = OnnxModel(entry.path, threads=settings.cores)
    return Detector(model, entry.name, entry.version, model.info.operating_point)


def _path(settings: Settings, first: str, second: str, data_hash: str, split: Split) -> Path:
    return Workspace(settings).reports / FOLDER / f"{first[:12]}-{second[:12]}-{data_hash[:12]}-{split}.json"


def _read(path: Path) -> KeptComparison:
    try:
        return KeptComparison.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"the comparison cannot be read ({error.strerror})", where=path, fix="check the rights on the file"
        ) from error
    except ValidationError as error:
        raise DataError(
            f"expected a comparison of format {FORMAT}, found a damaged or newer one ({error.errors()[0]['msg']})",
            where=path,
            fix="delete the file and compare again, or update Copperline",
        ) from error
