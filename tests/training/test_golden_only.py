"""Training from golden images alone, and training anew on validation boards, as far as Python can see it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from copperline.data import BoardDataset, BoardPair, data_hash, load_saved, read_golden, read_pair
from copperline.data.synthetic import write_synthetic_dataset
from copperline.errors import SettingsError, TrainingError
from copperline.registry import Registry
from copperline.settings import Settings
from copperline.taxonomy import DEEPPCB, DefectClass, Severity, Taxonomy
from copperline.training import Checkpoint, Metrics, TrainConfig, all_trained_on, fit, is_golden_only, refit
from copperline.training.batches import ImageCache, registered_pair
from copperline.training.golden_only import VALIDATION_FOLDER, drawn_validation
from copperline.workflows.training import register_model

CONFIG = TrainConfig(epochs=1, crop_size=64, crops_per_pair=1, batch_size=2, precision="float32", drawn=1)


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> BoardDataset:
    folder = tmp_path_factory.mktemp("golden") / "boards"
    write_synthetic_dataset(folder, train=6, test=1, size=128, processes=1)
    return read_golden(folder)[0]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(workspace=tmp_path_factory.mktemp("workspace"), threads=1)


def folder_for(settings: Settings, name: str) -> Path:
    folder = settings.workspace / "runs" / name
    folder.mkdir(parents=True)
    return folder


def test_a_data_set_of_references_is_told_from_a_labelled_one(
    references: BoardDataset, tiny_pairs: list[BoardPair]
) -> None:
    assert is_golden_only(references)
    assert not is_golden_only(BoardDataset("d", "s", tuple(tiny_pairs)))
    assert not is_golden_only(BoardDataset("d", "s", ()))


def test_a_reference_alone_is_not_registered_to_itself(references: BoardDataset) -> None:
    test, reference = registered_pair(references.pairs[0])
    assert test is reference
    # 128 x 128 bytes, counted once: 1 MiB holds them all.
    cache = ImageCache(references.pairs, 1)
    assert all(cache[i][0] is cache[i][0] for i in range(len(references)))


def test_validation_boards_are_drawn_once_and_the_same_for_every_run(references: BoardDataset, tmp_path: Path) -> None:
    val = references.split("val")
    first = drawn_validation(val, DEEPPCB, tmp_path / "a", 10)
    second = drawn_validation(val, DEEPPCB, tmp_path / "b", 10)
    assert [p.labels for p in first] == [p.labels for p in second]
    assert [p.board_id for p in first] == [p.board_id for p in val]
    assert sum(len(p.labels) for p in first) > 0
    for pair, again in zip(first, second, strict=True):
        assert pair.reference_path is not None
        assert pair.test_path.read_bytes() == again.test_path.read_bytes()
        test, reference = read_pair(pair)
        assert (test != reference).any()
    before = first[0].test_path.stat().st_mtime_ns
    assert drawn_validation(val, DEEPPCB, tmp_path / "a", 10)[0].test_path.stat().st_mtime_ns == before


def test_fit_on_references_alone_then_refit(references: BoardDataset, settings: Settings) -> None:
    first = folder_for(settings, "first")
    trained = fit(references, CONFIG, first, settings)
    assert trained is not None
    drawn, _ = load_saved(first / VALIDATION_FOLDER)
    assert trained.validation.images == len(drawn) == len(references.split("val"))
    assert trained.validation.labels == sum(len(pair.labels) for pair in drawn)
    assert trained.info.data_hash == data_hash(references)
    assert "drawn defects" in trained.info.operating_point.criterion
    card = register_model(trained, references, settings).read_card()
    assert card.splits["val"].boards == len(drawn)
    assert set(card.metrics["by split"]) == {"validation, drawn defects", "real defects"}
    assert "not measured" in card.to_markdown()
    assert card.training["box_margin"] == 9
    assert any("no label was read" in text for text in card.limitations)
    assert card.baseline is not None
    assert card.baseline.boards == len(drawn)
    assert "of validation with drawn defects" in card.baseline.measured_on
    assert "had not seen" in card.baseline.measured_on

    second = folder_for(settings, "second")
    again = refit(references, first, second, settings)
    assert again is not None
    assert again.refit_of == "first"
    assert again.config == trained.config
    assert again.info.operating_point.thresholds == trained.info.operating_point.thresholds
    assert again.info.operating_point.criterion.endswith("chosen in run first")
    assert again.validation.model_dump(exclude={"operating_point"}) == trained.validation.model_dump(
        exclude={"operating_point"}
    )
    assert again.info.data_hash == data_hash(all_trained_on(references)) != trained.info.data_hash
    assert Checkpoint.load(second).history[0].keys() == {k for k in trained.history[0] if not k.startswith("val_")}
    version = register_model(again, references, settings)
    card = version.read_card()
    assert (card.splits["train"].boards, card.splits["val"].boards) == (len(references), 0)
    assert "validation, drawn defects, of run first" in card.metrics["by split"]
    assert any("boards of validation too" in text and "run first" in text for text in card.limitations)
    assert len(Registry(settings).versions()) == 2

    with pytest.raises(TrainingError, match="other data"):
        refit(references, second, folder_for(settings, "third"), settings)
    # A refit is resumed as one, and not as the run that it is of.
    with pytest.raises(TrainingError, match="has other data"):
        fit(references, CONFIG, second, settings, resume=Checkpoint.load(second))
    resumed = refit(references, first, second, settings, resume=Checkpoint.load(second))
    assert resumed is not None
    assert resumed.history == again.history


class Steps:
    """Listens for the length of a run."""

    total = 0

    def on_step(self, step: int, total_steps: int, loss: float) -> None:
        self.total = total_steps

    def on_epoch(self, epoch: int, metrics: Metrics) -> None: ...


def test_refit_on_labelled_boards_trains_on_all_of_them(tiny_pairs: list[BoardPair], settings: Settings) -> None:
    pairs = tuple(replace(p, split="val" if i < 2 else "train") for i, p in enumerate(tiny_pairs))
    dataset = BoardDataset("tiny", "here", pairs)
    first, first_steps, again_steps = folder_for(settings, "labelled"), Steps(), Steps()
    config = CONFIG.model_copy(update={"drawn": 0.25})
    assert fit(dataset, config, first, settings, listeners=[first_steps]) is not None
    again = refit(dataset, first, folder_for(settings, "labelled-again"), settings, listeners=[again_steps])
    assert again is not None
    assert (first_steps.total, again_steps.total) == (3, 4)  # 6 and 8 boards, two in a step
    assert again.validation.images == 2
    assert "drawn defects" not in again.info.operating_point.criterion
    card = register_model(again, dataset, settings).read_card()
    assert set(card.metrics["by split"]) == {"validation, of run labelled"}
    assert card.baseline is not None
    assert card.baseline.measured_on.startswith("2 boards of validation, group g, which the model was trained on too")
    assert any("25%" in text for text in card.limitations)


def test_a_run_that_was_opened_with_its_test_split_can_be_refitted(
    tiny_pairs: list[BoardPair], settings: Settings
) -> None:
    """With and without the test split, which is never trained on."""
    splits = ("val", "train", "train", "train", "test", "test", "test", "test")
    pairs = tuple(replace(p, split=split) for p, split in zip(tiny_pairs, splits, strict=True))
    whole, learned = BoardDataset("tiny", "here", pairs), BoardDataset("tiny", "here", pairs[:4])
    config = CONFIG.model_copy(update={"drawn": 0})
    for number, opened in enumerate((whole, learned)):
        first, steps = folder_for(settings, f"opened-{number}"), Steps()
        assert fit(opened, config, first, settings) is not None
        assert refit(whole, first, folder_for(settings, f"refit-{number}"), settings, listeners=[steps]) is not None
        assert steps.total == 2


def test_an_unfinished_run_is_not_refitted(references: BoardDataset, settings: Settings) -> None:
    folder = folder_for(settings, "unfinished")
    assert fit(references, CONFIG, folder, settings) is not None
    checkpoint = Checkpoint.load(folder)
    replace(checkpoint, config=CONFIG.model_copy(update={"epochs": 9})).save(folder)
    with pytest.raises(TrainingError, match="found one at epoch 1 of 9"):
        refit(references, folder, folder_for(settings, "fourth"), settings)


def test_references_alone_need_drawn_defects_of_classes_that_can_be_drawn(
    references: BoardDataset, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"share of 0\.5"):
        fit(references, CONFIG.model_copy(update={"drawn": 0.5}), tmp_path, settings)
    other = Taxonomy((DefectClass(0, "scratch", Severity.MINOR, "#000000"),))
    with pytest.raises(SettingsError, match="scratch"):
        fit(replace(references, taxonomy=other), CONFIG, tmp_path, settings)
    assert not np.any(list(tmp_path.iterdir()))
