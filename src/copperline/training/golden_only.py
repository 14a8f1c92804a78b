"""Validation where no defect is labelled: defects drawn into references that are not trained on."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from copperline.data import BoardDataset, BoardPair, ImportReport, load_saved, read_grey, save_dataset, write_image
from copperline.data.drawn import drawn_scans
from copperline.data.golden import is_golden
from copperline.data.store import DATASET_FILE
from copperline.progress import progress
from copperline.taxonomy import Taxonomy

VALIDATION_FOLDER = "validation"
# The same defects for every run, so that runs with other settings can be compared.
VALIDATION_SEED = 0


def is_golden_only(dataset: BoardDataset) -> bool:
    """Whether the data set holds references alone, as `read_golden` gives them."""
    return len(dataset) > 0 and all(is_golden(pair) for pair in dataset)


def drawn_validation(
    references: Sequence[BoardPair], taxonomy: Taxonomy, folder: Path, box_margin: float
) -> tuple[BoardPair, ...]:
    """Boards to validate on: two scans of each reference, defects in one of them, which become its labels.

    They are written once, as a data set below the run's `folder`, so that every epoch and a resumed run validate on
    the same, and a person can look at them and evaluate other models on them.

    Args:
        references: pairs that are references alone.
        box_margin: between what was painted and its box, px.

    Raises:
        DataError: a reference cannot be read, or the folder not be written.
    """
    target = folder / VALIDATION_FOLDER
    if not (target / DATASET_FILE).is_file():
        _draw(references, taxonomy, target, box_margin)
    return load_saved(target)[0].pairs


def _draw(references: Sequence[BoardPair], taxonomy: Taxonomy, target: Path, box_margin: float) -> None:
    with tempfile.TemporaryDirectory() as temporary, progress("Drawing defects to validate on") as report_progress:
        pairs = []
        for index, pair in enumerate(references):
            rng = np.random.default_rng((VALIDATION_SEED, index))
            drawn = drawn_scans(read_grey(pair.test_path), rng, box_margin=box_margin)
            paths = [Path(temporary) / f"{index}_{name}.png" for name in ("test", "temp")]
            for path, image in zip(paths, (drawn.test, drawn.reference), strict=True):
                write_image(path, image)
            pairs.append(replace(pair, test_path=paths[0], reference_path=paths[1], labels=drawn.labels))
            report_progress(index + 1, len(references))
        dataset = BoardDataset("defects drawn into references", "synthetic", tuple(pairs), taxonomy)
        save_dataset(dataset, ImportReport.of(dataset), target)
