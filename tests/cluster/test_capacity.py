"""The capacity model: units, what grows with what, and the sums that it shows."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from copperline.cluster import Measured, Plant, Prices, capacity, read_measured, write_measured
from copperline.errors import DataError, SettingsError

FIGURES: dict[str, Any] = {
    "measured_at": "2026-01-31",
    "copperline": "0.1.0",
    "machine": {"processor": "made up", "cores": 2, "memory_gib": 8, "system": "Linux", "python": "3.11.7"},
    "boards": {"source": "drawn boards", "count": 10, "width": 640, "height": 640, "image_bytes": 50_000},
    "inspection": {"model": "builtin:deeppcb", "core_ms_per_board": 100},
    "warehouses": {
        "sqlite": {
            "boards": 2000,
            "rows_per_board": 3,
            "bytes_per_board": 1000,
            "bytes_per_defect": 400,
            "write_ms_per_board": 1,
            "batch": 8,
        },
        "postgresql": {
            "boards": 2000,
            "rows_per_board": 3,
            "bytes_per_board": 1200,
            "bytes_per_defect": 500,
            "write_ms_per_board": 2,
            "batch": 8,
        },
    },
    "training": {
        "network": "yolo12-pico",
        "image_size": 96,
        "images_per_core_s": 50,
        "parameters": 310_000,
        "checkpoint_bytes": 5e6,
    },
    "scaling": {
        "training_ray": {"median": 1.8, "lowest": 1.7, "highest": 1.9, "runs": 3},
        "driver_ms_per_board": 0.5,
    },
}
MEASURED = Measured.model_validate(FIGURES)
PLANT = Plant()

plants = st.builds(
    Plant,
    lines=st.integers(1, 300),
    plants=st.integers(1, 20),
    takt_s=st.floats(0.5, 600),
    boards_per_panel=st.integers(1, 20),
    images_per_board=st.integers(1, 4),
    hours_per_day=st.floats(1, 24),
    peak=st.floats(1, 5),
    defects_per_image=st.floats(0, 20),
    utilisation=st.floats(0.1, 0.95),
    longest_mean_wait_s=st.floats(0.01, 60),
    image_days=st.integers(0, 400),
    spare_nodes=st.integers(0, 3),
    database=st.sampled_from(["sqlite", "postgresql"]),
)


def test_a_plant_of_fifty_lines_by_hand() -> None:
    need = capacity(MEASURED, PLANT)
    images = 50 * 4 / 12
    assert need["images_per_s"] == pytest.approx(images)
    assert need["images_per_day"] == pytest.approx(images * 86_400)
    assert need["peak_images_per_s"] == pytest.approx(25)
    assert need["busy_cores"] == pytest.approx(2.5)
    assert need["cores"] == 4  # 2.5 / 0.7 = 3.6
    assert need["nodes"] == 2  # one, and a spare one
    assert need["driver_load"] == pytest.approx(25 * 0.5e-3)
    assert need["image_gb_per_day"] == pytest.approx(1_440_000 * 50_000 / 1e9)
    assert need["image_gb"] == pytest.approx(need["image_gb_per_day"] * 30)
    assert need["rows_per_day"] == pytest.approx(1_440_000 * 3.05)
    assert need["warehouse_gb_per_day"] == pytest.approx(1_440_000 * (1200 + 0.05 * 500) / 1e9)
    assert need["writer_load"] == pytest.approx(25 * 2e-3)
    assert need["transactions_per_s"] == pytest.approx(25 / 8)
    assert need["network_mbit_per_s"] == pytest.approx(25 * 2 * 50_000 * 8 / 1e6)
    assert need["training_hours"] == pytest.approx(44_000 * 12 / (50 * 4 * 0.9**2) / 3600)
    assert need["step_mb"] == pytest.approx(2 * 3 / 4 * 310_000 * 4 / 1e6)
    assert "money_per_year" not in need
    assert "all_cores" not in need


def test_money_is_that_of_the_given_prices_alone() -> None:
    need = capacity(MEASURED, PLANT, Prices(core_hour=0.04, gb_month=0.02, database_month=100, currency="USD"))
    assert need["cores_money_per_year"] == pytest.approx(32 * 8760 * 0.04)
    assert need["images_money_per_year"] == pytest.approx(need["image_gb"] * 12 * 0.02)
    assert need["database_money_per_year"] == pytest.approx(1200)
    assert need["money_per_year"] == pytest.approx(
        need["cores_money_per_year"] + need["images_money_per_year"] + need["database_money_per_year"]
    )
    assert {step.unit for step in need.steps if step.key.endswith("money_per_year")} == {"USD"}
    assert "money_per_year" not in capacity(MEASURED, PLANT, Prices())
    assert "cores_money_per_year" not in capacity(MEASURED, PLANT, Prices(gb_month=0.02))


def test_a_thousand_plants_are_a_thousand_times_one() -> None:
    one, many = capacity(MEASURED, PLANT), capacity(MEASURED, replace(PLANT, plants=1000))
    for key in ("images_per_day", "cores", "nodes", "image_gb", "rows", "warehouse_gb"):
        assert many[key] == one[key]
        assert many[f"all_{key}"] == pytest.approx(1000 * one[key])
    assert many["busy_cores"] * 1000 / 0.7 <= many["pooled_cores"] <= many["all_cores"]


@settings(deadline=None)
@given(plants)
def test_steps_are_finite_and_each_is_there_once(plant: Plant) -> None:
    need = capacity(MEASURED, plant, Prices(1, 1, 1))
    assert all(math.isfinite(step.value) and step.value >= 0 for step in need.steps)
    assert len({step.key for step in need.steps}) == len(need.steps)
    assert need["cores"] * plant.utilisation >= need["busy_cores"] - 1e-6
    assert need["mean_wait_ms"] <= 1e3 * plant.longest_mean_wait_s * (1 + 1e-9)


@settings(deadline=None)
@given(plants, st.integers(0, 100))
def test_more_lines_never_need_less(plant: Plant, more: int) -> None:
    fewer, many = capacity(MEASURED, plant), capacity(MEASURED, replace(plant, lines=plant.lines + more))
    for step in fewer.steps:
        if step.key != "mean_wait_ms":  # a core more, and it is shorter
            assert many[step.key] >= step.value * (1 - 1e-12), step.key


@settings(deadline=None)
@given(plants)
def test_twice_the_takt_is_half_of_everything_that_flows(plant: Plant) -> None:
    quick, slow = capacity(MEASURED, plant), capacity(MEASURED, replace(plant, takt_s=2 * plant.takt_s))
    for key in (
        "images_per_s",
        "images_per_day",
        "image_gb",
        "rows",
        "warehouse_gb",
        "network_mbit_per_s",
        "writer_load",
    ):
        assert quick[key] == pytest.approx(2 * slow[key])


def test_without_defects_there_are_still_rows() -> None:
    need = capacity(MEASURED, replace(PLANT, defects_per_image=0))
    assert need["rows_per_day"] == pytest.approx(3 * need["images_per_day"])
    assert need["warehouse_gb_per_day"] == pytest.approx(need["images_per_day"] * 1200 / 1e9)


def test_what_was_not_measured_is_left_out_or_refused() -> None:
    without = MEASURED.model_copy(update={"scaling": MEASURED.scaling.model_copy(update={"driver_ms_per_board": None})})
    assert "driver_load" not in capacity(without, PLANT)
    with pytest.raises(SettingsError, match="expected the figures of one of postgresql, sqlite, found 'oracle'"):
        capacity(MEASURED, replace(PLANT, database="oracle"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"lines": 0},
        {"takt_s": 0},
        {"takt_s": math.nan},
        {"boards_per_panel": -1},
        {"hours_per_day": 25},
        {"days_per_year": 400},
        {"peak": 0.5},
        {"defects_per_image": -0.1},
        {"utilisation": 1},
        {"longest_mean_wait_s": 0},
        {"image_days": -1},
        {"cores_per_node": 0},
        {"training_cores": 0},
    ],
    ids=str,
)
def test_a_plant_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        Plant(**wrong)


@pytest.mark.parametrize("wrong", [{"core_hour": -1}, {"gb_month": math.inf}, {"database_month": math.nan}], ids=str)
def test_a_price_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        Prices(**wrong)


def test_figures_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_measured(MEASURED, tmp_path / "measured.json")
    assert read_measured(tmp_path / "measured.json") == MEASURED


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "expected JSON"),
        ("[]", "expected measured figures"),
        (json.dumps({**FIGURES, "made_up": 1}), "made_up"),
        (json.dumps({**FIGURES, "inspection": {"model": "m", "core_ms_per_board": 0}}), "inspection.core_ms_per_board"),
        (json.dumps({**FIGURES, "inspection": {"model": "m", "core_ms_per_board": math.nan}}), "core_ms_per_board"),
    ],
)
def test_damaged_figures_are_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "measured.json"
    path.write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        read_measured(path)
    assert "\n" not in str(caught.value)


def test_missing_figures_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the file cannot be read"):
        read_measured(tmp_path / "none.json")
