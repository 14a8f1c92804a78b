"""The page's logic, with real models, a real registry and a real warehouse; how it looks is not tested here."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from copperline import mlflow_store
from copperline.dashboard import session
from copperline.dashboard.launch import READ_ONLY
from copperline.dashboard.model_promotion import Asked
from copperline.data import open_dataset, save_dataset
from copperline.data.synthetic import write_synthetic_dataset
from copperline.detections import Detections
from copperline.registry import ModelVersion, Registry, builtin_model
from copperline.settings import Settings
from copperline.taxonomy import DEEPPCB, Call, Disposition
from copperline.warehouse import (
    InspectionRecord,
    inspection_id_for,
    open_warehouse,
    record_disposition,
    write_inspections,
)

COMPARISON, PROMOTIONS = "Champion against challenger", "Promotions"
Show = Callable[..., AppTest]


def script() -> None:
    """As the shell does it."""
    from copperline.dashboard.failures import show_failure
    from copperline.dashboard.pages import models
    from copperline.errors import CopperlineError

    try:
        models.page()
    except CopperlineError as error:
        show_failure(error)


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = Settings(workspace=tmp_path_factory.mktemp("registry"))
    mlflow_store.client(settings)
    return settings.workspace / "registry.db"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A workspace that does not exist yet, for the page too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COPPERLINE_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("COPPERLINE_THREADS", "1")
    session.settings.clear()
    yield Settings.load()
    session.settings.clear()


@pytest.fixture
def two_versions(settings: Settings, empty_registry: Path) -> Registry:
    """Version 1, the champion, has a run and a card with all that newer cards have; version 2 an old card."""
    settings.workspace.mkdir()
    shutil.copyfile(empty_registry, settings.workspace / "registry.db")
    store = mlflow_store.client(settings)
    run_id = store.create_run(mlflow_store.experiment_id(store, settings, "training")).info.run_id
    store.log_metric(run_id, "loss", 1.5, step=1)
    store.log_metric(run_id, "val_map50", 0.9, step=1)
    store.set_terminated(run_id)
    first, second = builtin_model("golden-only"), builtin_model("deeppcb")
    new = {
        "by split": {"validation": {"images": 9, "map50": 0.9, "recall": None}},
        "validation, 95 % intervals": {"map50": {"value": 0.9, "low": 0.8, "high": 0.95}},
        "validation, by class": {"open": {"labels": 4, "ap50": 0.7, "ap50_95": None, "precision": 1.0, "recall": 0.5}},
    }
    old = {"by split": {"validation": {"map50": 0.95, "clean_boards": 50, "false_call_boards": 1}}}
    registry = Registry(settings)
    registry.register(first.path, first.card.model_copy(update={"metrics": new}), run_id=run_id, alias="champion")
    registry.register(second.path, second.card.model_copy(update={"metrics": old}))
    return registry


@pytest.fixture
def show(settings: Settings) -> Show:
    def run(**parameters: str) -> AppTest:
        page = AppTest.from_function(script, default_timeout=60)
        for name, value in parameters.items():
            page.query_params[name] = value
        page.run()
        assert not page.exception
        return page

    return run


def texts(page: AppTest) -> str:
    blocks = (page.markdown, page.caption, page.subheader, page.info, page.warning, page.error, page.success)
    # `plain` puts a backslash before whatever Markdown could take for markup.
    return "\n".join(str(element.value) for kind in blocks for element in kind).replace("\\", "")


def press(page: AppTest, key: str) -> AppTest:
    page.button(key=key).click().run()
    assert not page.exception
    return page


def labels(page: AppTest) -> list[str]:
    return [button.label for button in page.button]


def test_nothing_is_registered(show: Show, settings: Settings) -> None:
    page = show()
    assert "the shipped model `builtin:deeppcb` stands in as champion" in texts(page)
    assert list(page.dataframe[0].value["Aliases"]) == ["stands in as champion", "-"]
    assert labels(page)[:1] == ["Make champion"]
    assert {metric.label: metric.value for metric in page.metric}["mAP50"] == "98.67 %"
    assert "95 %: 98.24 - 99.69 %" in texts(page)
    assert "No training run is recorded" in texts(page)
    assert not settings.workspace.exists()


def test_the_shipped_model_is_pinned(show: Show, settings: Settings) -> None:
    page = press(show(), "make-champion")
    assert "The **champion** changes from **no version** to **builtin:deeppcb**" in texts(page)
    page.text_input(key="promotion-reason").input("a start")
    press(page, "promotion-confirm")
    assert "Version 1 is now champion; it was no version." in texts(page)
    assert Registry(settings).history().promotions[-1].reason == "a start"


def test_a_card_with_everything(show: Show, two_versions: Registry) -> None:
    page = show()
    assert list(page.dataframe[0].value["Model"]) == [
        "version 2",
        "version 1",
        "builtin:deeppcb",
        "builtin:golden-only",
    ]
    assert page.selectbox(key="model").value == "1"  # the champion
    shown = texts(page)
    assert "95 %: 80.00 - 95.00 %" in shown
    assert "not measured" in shown
    assert "criterion not reached" in shown
    classes = page.dataframe[1].value
    assert list(classes["Class"]) == list(DEEPPCB.names)
    assert list(classes["AP50"])[:2] == ["70.00 %", "not measured"]
    assert [len(page.get(kind)) for kind in ("plotly_chart", "download_button")] == [3, 2]
    assert "MLflow run" in shown


def test_an_old_card_says_what_was_not_recorded(show: Show, two_versions: Registry) -> None:
    page = show()
    page.selectbox(key="model").select("2").run()
    shown = texts(page)
    assert "interval not recorded" in shown
    assert "95 %: 0.35 - 10.50 %" in shown  # false calls: worked out from the counts
    assert "No training run is recorded" in shown


def test_the_model_is_kept_in_the_address(show: Show, two_versions: Registry) -> None:
    assert show(model="version 2").selectbox(key="model").value == "2"
    assert show(model="version 99").selectbox(key="model").value == "1"


def test_promoting_and_rolling_back(show: Show, two_versions: Registry) -> None:
    page = show()
    assert not [label for label in labels(page) if label.startswith("Roll back")]
    page.selectbox(key="model").select("2").run()
    press(page, "make-champion")
    assert "The **champion** changes from **version 1** to **version 2**" in texts(page)
    assert "have not been compared" in texts(page)
    press(page, "promotion-confirm")
    assert "Expected a reason" in texts(page)
    assert two_versions.get("champion").version == 1
    page.text_input(key="promotion-reason").input("fewer :red[false] calls")
    press(page, "promotion-confirm")
    assert two_versions.get("champion").version == 2
    last = two_versions.history().promotions[-1]
    assert (last.by, last.reason, last.from_version) == (session.user_name(), "fewer :red[false] calls", 1)

    press(page, "roll-back")
    assert "The **champion** changes from **version 2** to **version 1**" in texts(page)
    page.text_input(key="promotion-reason").input("misses opens")
    press(page, "promotion-confirm")
    assert two_versions.get("champion").version == 1
    page.segmented_control(key="view").set_value(PROMOTIONS).run()
    history = page.dataframe[1].value
    assert list(history["Reason"])[:2] == ["misses opens", "fewer :red[false] calls"]
    assert list(history["To"])[:2] == ["version 1", "version 2"]


def test_a_dialog_can_be_left(show: Show, two_versions: Registry) -> None:
    page = show()
    page.selectbox(key="model").select("2").run()
    press(press(page, "make-champion"), "promotion-cancel")
    assert "promotion-confirm" not in [button.key for button in page.button]
    assert two_versions.get("champion").version == 1


def test_somebody_else_was_faster(show: Show, two_versions: Registry) -> None:
    page = show()
    page.selectbox(key="model").select("builtin:deeppcb").run()
    press(page, "make-champion")
    two_versions.promote(2, by="bob")
    page.text_input(key="promotion-reason").input("mine")
    press(page, "promotion-confirm")
    assert "somebody changed it meanwhile" in texts(page)
    assert two_versions.get("champion").version == 2
    assert two_versions.history().promotions[-1].by == "bob"


def test_a_damaged_model_is_not_promoted(show: Show, two_versions: Registry) -> None:
    two_versions.get("2").model_path.write_bytes(b"bad")
    page = show()
    page.selectbox(key="model").select("2").run()
    press(page, "make-champion")
    page.text_input(key="promotion-reason").input("why not")
    press(page, "promotion-confirm")
    assert "is damaged: expected SHA-256" in texts(page)
    assert two_versions.get("champion").version == 1


def test_who_may_only_look(show: Show, two_versions: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(READ_ONLY, "1")
    page = show()
    assert not [button for button in page.button if button.key and button.key.startswith(("make", "roll"))]
    assert "View only" in texts(page)
    # Nor by a click that was made before.
    page.session_state["models-promotion-asked"] = Asked("2", "champion", 1)
    page.run()
    assert "promotion-confirm" not in [button.key for button in page.button]


def inspected(version: ModelVersion, board: str, found: bool) -> InspectionRecord:
    sha256, point = board.ljust(64, "0"), "{}"
    number = str(version.version)
    detections = Detections.of([[10, 20, 30, 60]], [0], [0.9]) if found else Detections.empty()
    return InspectionRecord(
        inspection_id=inspection_id_for(board, sha256, None, version.name, number, point),
        board_id=board,
        inspected_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
        station_id="AOI-1",
        model_name=version.name,
        model_version=number,
        operating_point=point,
        image_path=f"{board}.png",
        image_sha256=sha256,
        reference_path=None,
        reference_sha256=None,
        registration_score=None,
        call=Call.FAIL if found else Call.PASS,
        latency_ms=9.0,
        width=640,
        height=320,
        detections=detections,
    )


def test_boards_of_the_line(show: Show, two_versions: Registry, settings: Settings) -> None:
    engine = open_warehouse(settings.warehouse)
    one, two = two_versions.get("1"), two_versions.get("2")
    records = [inspected(one, f"both-{i}", False) for i in range(8)]
    records += [inspected(two, f"both-{i}", False) for i in range(8)]
    records += [inspected(one, "apart", False), inspected(two, "apart", True)]
    write_inspections(engine, records, DEEPPCB)
    page = show(view=COMPARISON)
    assert {metric.label: metric.value for metric in page.metric} == {"Same call": "88.89 %"}
    assert "Failed by version 1 alone: **0**; by version 2 alone: **1**. That may be chance (p = 1)." in texts(page)
    assert "none of the boards on which they differ was reviewed" in texts(page)
    record_disposition(engine, records[-1].inspection_id, Disposition.CONFIRMED, "ann")
    engine.dispose()
    page.run()
    assert "version 1 was right on **0**, version 2 on **1**" in texts(page)
    assert list(page.dataframe[1].value["Right"]) == ["version 2"]


def test_no_common_boards_and_no_data_set(show: Show, two_versions: Registry, settings: Settings) -> None:
    page = show(view=COMPARISON)
    assert "expected a warehouse, found no file" in texts(page)
    assert "No labelled boards are imported." in texts(page)
    open_warehouse(settings.warehouse).dispose()
    page.run()
    assert "No board was inspected by both." in texts(page)


def test_no_challenger(show: Show, two_versions: Registry) -> None:
    two_versions.promote("challenger")
    page = show(view=COMPARISON)
    assert "There is no challenger beside the champion" in texts(page)
    assert (page.selectbox(key="first").value, page.selectbox(key="second").value) == ("2", "1")
    page.selectbox(key="second").select("builtin:deeppcb").run()
    assert "These two are the same file" in texts(page)


def test_labelled_boards(show: Show, two_versions: Registry, settings: Settings, tmp_path: Path) -> None:
    write_synthetic_dataset(tmp_path / "boards", train=2, test=2, size=160, processes=1)
    dataset, report = open_dataset(tmp_path / "boards")
    save_dataset(dataset, report, settings.workspace / "datasets" / "audit")
    page = show(view=COMPARISON)
    assert "Run both models on 2 boards" in labels(page)
    press(page, "compare")
    assert "no ground for a promotion" in texts(page)
    assert "Run both again" in labels(page)
    assert list(page.dataframe[-1].value["Figure"])[:2] == ["mAP50", "F-score"]
    # It is kept: another visitor sees it at once, and the dialog quotes it.
    assert "no ground for a promotion" in texts(show(view=COMPARISON))
    page = show()
    page.selectbox(key="model").select("2").run()
    press(page, "make-champion")
    assert "The new one" in texts(page)
    assert "2 boards of audit (test)" in texts(page)


def test_a_registry_that_is_gone(show: Show, two_versions: Registry, settings: Settings) -> None:
    (settings.workspace / "registry.db").unlink()
    page = show()
    assert "The history names 2 promotions, but the registry is empty" in texts(page)
    assert not (settings.workspace / "registry.db").exists()


def test_a_registry_that_is_damaged(show: Show, two_versions: Registry, settings: Settings) -> None:
    (settings.workspace / "registry.db").write_bytes(b"no database at all" * 99)
    assert "the model registry cannot be used (file is not a database)" in texts(show())


def test_a_damaged_card_hides_no_other(show: Show, two_versions: Registry) -> None:
    (two_versions.get("2").folder / "card.json").write_text("{")
    page = show()
    assert "damaged" in page.dataframe[0].value["State"].iloc[0]
    page.selectbox(key="model").select("2").run()
    assert "the model card is damaged" in texts(page)
    assert page.button(key="make-champion").disabled


def test_a_broken_line_and_a_change_past_the_history(show: Show, two_versions: Registry, settings: Settings) -> None:
    mlflow_store.client(settings).set_registered_model_alias("pcb-detector", "champion", "2")
    with (settings.workspace / "artifacts" / "models" / "pcb-detector" / "promotions.jsonl").open("ab") as file:
        file.write(b"{half")
    shown = texts(show(view=PROMOTIONS))
    assert "made version 1 the champion, but it is version 2 now" in shown
    assert "Lines of the history that cannot be read: 3." in shown
