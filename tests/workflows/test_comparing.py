from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from copperline.data import SavedDataset, open_dataset, save_dataset, saved_dataset
from copperline.data.synthetic import write_synthetic_dataset
from copperline.errors import DataError, ModelError
from copperline.evaluation import Evaluation
from copperline.inspection import Detector
from copperline.registry import CatalogueEntry, catalogue
from copperline.settings import Settings
from copperline.workflows.comparing import (
    compare_models,
    find_dataset,
    find_model,
    kept_comparison,
    kept_comparisons,
    seen_before,
)
from copperline.workflows.evaluating import measure


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace with one imported data set of synthetic boards and nothing registered."""
    folder = tmp_path_factory.mktemp("comparing")
    write_synthetic_dataset(folder / "boards", train=2, test=3, size=160, processes=1)
    settings = Settings(workspace=folder / "workspace", threads=1)
    dataset, report = open_dataset(folder / "boards")
    save_dataset(dataset, report, settings.workspace / "datasets" / "boards")
    return settings


@pytest.fixture
def models(settings: Settings) -> tuple[CatalogueEntry, CatalogueEntry]:
    first, second = catalogue(settings).entries
    return first, second


@pytest.fixture
def boards(settings: Settings) -> SavedDataset:
    return saved_dataset(settings.workspace / "datasets" / "boards")


def measured(settings: Settings, entry: CatalogueEntry, boards: SavedDataset) -> Evaluation:
    detector = Detector.load(entry.key, settings=settings)
    dataset, _ = open_dataset(boards.folder, splits=("test",))
    return measure(detector, dataset.split("test")).evaluation


def test_both_models_on_the_same_boards_and_found_again(
    settings: Settings, models: tuple[CatalogueEntry, CatalogueEntry], boards: SavedDataset
) -> None:
    assert kept_comparison(settings, *models, boards, "test") is None
    steps: list[tuple[int, int]] = []
    kept = compare_models(settings, *models, boards, "test", progress=lambda done, total: steps.append((done, total)))

    assert steps == [(done, 12) for done in range(1, 13)]  # two models, three boards, and a clean board of each
    first, second = (measured(settings, entry, boards) for entry in models)
    assert (kept.result.boards, kept.result.clean_boards, kept.result.labels) == (3, 3, first.labels)
    for name, figure in kept.result.figures.items():
        assert (figure.first, figure.second) == (
            pytest.approx(getattr(first, name)),
            pytest.approx(getattr(second, name)),
        )
    assert kept_comparison(settings, *models, boards, "test") == kept
    (back,) = kept_comparisons(settings, *models[::-1])
    assert back == kept.reversed()
    assert (back.first.name, back.second.name) == (models[1].name, models[0].name)
    assert kept_comparison(settings, *models, boards, "train") is None
    (file,) = (settings.workspace / "reports" / "comparisons").iterdir()
    assert file.name.startswith(f"{models[0].sha256[:12]}-{models[1].sha256[:12]}-{boards.data_hash[:12]}-test")


def test_other_data_under_the_same_name_is_not_taken_for_it(
    settings: Settings, models: tuple[CatalogueEntry, CatalogueEntry], boards: SavedDataset
) -> None:
    compare_models(settings, *models, boards, "test")
    other = dataclasses.replace(boards, data_hash=boards.data_hash[:12] + "0" * 52)
    assert kept_comparison(settings, *models, other, "test") is None


def test_a_damaged_comparison(
    settings: Settings, models: tuple[CatalogueEntry, CatalogueEntry], boards: SavedDataset
) -> None:
    compare_models(settings, *models, boards, "test")
    (file,) = (settings.workspace / "reports" / "comparisons").iterdir()
    whole = file.read_text()
    for damaged in (whole[:99], json.dumps({**json.loads(whole), "format": 2})):
        file.write_text(damaged)
        with pytest.raises(DataError, match=r"\.json: expected a comparison of format 1.*compare again"):
            kept_comparison(settings, *models, boards, "test")
    compare_models(settings, *models, boards, "test")
    assert kept_comparison(settings, *models, boards, "test") is not None


def test_an_image_that_was_changed_is_not_measured(
    settings: Settings, models: tuple[CatalogueEntry, CatalogueEntry], boards: SavedDataset, tmp_path: Path
) -> None:
    dataset, report = open_dataset(boards.folder)
    save_dataset(dataset, report, tmp_path / "copy")
    name = dataset.split("test")[0].test_path.name
    (tmp_path / "copy" / "images" / name).write_bytes(b"x")
    with pytest.raises(DataError, match=rf"{name}: an image was changed after the import"):
        compare_models(settings, *models, saved_dataset(tmp_path / "copy"), "test")


def test_a_damaged_model(
    settings: Settings, models: tuple[CatalogueEntry, CatalogueEntry], boards: SavedDataset, tmp_path: Path
) -> None:
    (tmp_path / "model.onnx").write_bytes(models[0].path.read_bytes()[:-1])
    damaged = dataclasses.replace(models[0], path=tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="damaged: expected SHA-256"):
        compare_models(settings, damaged, models[1], boards, "test")


def test_models_and_data_sets_are_found_by_name(settings: Settings, tmp_path: Path) -> None:
    assert find_model(settings, "champion") == find_model(settings, "builtin:deeppcb")
    with pytest.raises(ModelError, match=r"found no '7'; there are builtin:deeppcb, champion, builtin:golden-only"):
        find_model(settings, "7")
    by_name = find_dataset(settings, Path("boards"), "test")
    assert by_name == find_dataset(settings, settings.workspace / "datasets" / "boards", "test")
    with pytest.raises(DataError, match=r"expected an imported data set.*copperline data import"):
        find_dataset(settings, tmp_path, "test")
    dataset, report = open_dataset(by_name.folder, splits=("test",))
    save_dataset(dataset, report, tmp_path / "tests")
    with pytest.raises(DataError, match="expected boards in split 'val', found only test"):
        find_dataset(settings, tmp_path / "tests", "val")


def test_boards_that_a_model_was_trained_on_are_told(
    models: tuple[CatalogueEntry, CatalogueEntry], boards: SavedDataset
) -> None:
    assert models[0].card is not None
    card = models[0].card.model_copy(update={"data_hash": boards.data_hash})
    assert seen_before(card, boards, "train") == "was trained on these boards"
    assert seen_before(card, boards, "val") == "had its operating point chosen on these boards"
    assert seen_before(card, boards, "test") is None
    assert seen_before(models[0].card, boards, "train") is None
    several = models[0].card.model_copy(update={"training": {"data_hashes": ["0" * 64, boards.data_hash]}})
    assert seen_before(several, boards, "val") == "had its operating point chosen on these boards"
