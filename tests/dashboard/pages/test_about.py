from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("streamlit")

from streamlit.testing.v1 import AppTest

from copperline.dashboard import session
from copperline.dashboard.pages import about
from copperline.registry import builtin_model, promote_model
from copperline.settings import Settings


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COPPERLINE_WORKSPACE", str(tmp_path / "workspace"))
    caches = (session.settings, about._described_champion)
    for cached in caches:
        cached.clear()
    yield tmp_path / "workspace"
    for cached in caches:
        cached.clear()


def shown(part: str) -> AppTest:
    def page() -> None:
        from copperline.dashboard.pages.about import page

        page()

    ran = AppTest.from_function(page, default_timeout=60)
    ran.query_params["part"] = part
    ran.run()
    assert not ran.exception
    return ran


def text(ran: AppTest) -> str:
    return "\n".join(
        str(part.value) for part in (*ran.subheader, *ran.markdown, *ran.caption, *ran.error, *ran.success)
    )


def test_an_empty_workspace(workspace: Path) -> None:
    pages = shown("Pages")
    assert [tab.label for tab in pages.tabs] == [
        "Pages",
        "Architecture",
        "Data sets",
        "Champion",
        "Versions",
        "Licences",
    ]
    assert "docs/quality.md" in text(pages)
    data = shown("Data sets")
    assert "No data set has been imported" in text(data)
    assert data.code[0].value == "copperline data import PATH"
    assert "docs/quality.md" not in text(data)  # only the open part is made
    assert "a model that ships with Copperline inspects" in text(shown("Champion"))
    assert r"None of the " in shown("Licences").success[0].value
    assert not workspace.exists()  # looking changes nothing


def test_choosing_a_package_says_what_it_imports() -> None:
    ran = shown("Architecture")
    ran.selectbox[0].select("files").run()
    assert not ran.exception
    assert "**files** imports errors (tinted)" in text(ran)


def test_a_damaged_data_set_is_said_and_the_rest_goes_on(workspace: Path) -> None:
    folder = workspace / "datasets" / "a_b"
    folder.mkdir(parents=True)
    (folder / "dataset.json").write_text("[]")
    ran = shown("Data sets")
    assert r"**a\_b**" in text(ran)
    assert "import the data set again" in ran.info[0].value
    assert "builtin\\:deeppcb" in text(ran)


def test_a_promoted_champion_and_a_damaged_one(workspace: Path) -> None:
    promote_model(Settings.load(), "builtin:golden-only")
    ran = shown("Champion")
    assert r"pcb\-detector, version 1" in text(ran)
    assert "ships with Copperline inspects" not in text(ran)
    assert f"{builtin_model('golden-only').card.parameters:,} parameters" in text(ran)

    about._described_champion.clear()
    for file in workspace.glob("artifacts/models/*/*/model.onnx"):
        file.write_bytes(b"not a model")
    ran = shown("Champion")
    assert "is damaged" in ran.error[0].value


def test_the_champions_figures_are_those_of_its_card() -> None:
    ran = shown("Champion")
    (figures,) = ran.dataframe
    by_name = figures.value.set_index("figure")
    measured = builtin_model("deeppcb").card.metrics["test, with reference"]
    assert isinstance(measured, dict) and isinstance(measured["map50"], dict)
    assert by_name.loc["mAP50", "value"] == f"{100 * measured['map50']['value']:.2f} %"
