"""The loop on the command line: reviews, a data set, a challenger that starts from the champion, a comparison."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from copperline.data import open_dataset, save_dataset
from copperline.data.synthetic import write_synthetic_dataset
from copperline.registry import builtin_model
from copperline.settings import Settings
from copperline.taxonomy import Disposition
from copperline.warehouse import BoardFilter, Judgement, list_boards, open_warehouse, record_dispositions

Run = Callable[..., Any]
QUICK = ("--epochs", 1, "--crops-per-pair", 1, "--batch-size", 2, "--json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn boards in a folder, and as a data set of a workspace."""
    folder = tmp_path_factory.mktemp("feedback")
    write_synthetic_dataset(folder / "boards", train=6, test=2, size=320, processes=1)
    dataset, report = open_dataset(folder / "boards")
    save_dataset(dataset, report, folder / "workspace" / "datasets" / "boards")
    write_synthetic_dataset(folder / "line", train=6, test=1, seed=5, size=320, processes=1)
    for path in (folder / "line").rglob("*_temp.jpg"):
        (folder / "golden").mkdir(exist_ok=True)
        path.rename(folder / "golden" / f"L{path.name.replace('_temp', '')}")  # ids are not those of the data set
    for path in (folder / "line").rglob("*_test.jpg"):
        (folder / "tests").mkdir(exist_ok=True)
        path.rename(folder / "tests" / f"L{path.name}")
    return folder


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPPERLINE_THREADS", "1")


def review(workspace: Path) -> None:
    """Somebody finds that all calls were right."""
    engine = open_warehouse(Settings(workspace=workspace).warehouse)
    rows = list_boards(engine, BoardFilter())
    record_dispositions(engine, [Judgement(row.inspection_id, Disposition.CONFIRMED) for row in rows], "ann")
    engine.dispose()


def test_the_whole_loop(folder: Path, copperline: Run, tmp_path: Path) -> None:
    workspace = ("--workspace", folder / "workspace")
    assert copperline("models", "promote", "builtin:deeppcb", *workspace).status == 0
    ran = copperline("inspect", folder / "tests", "--reference", folder / "golden", *workspace)
    assert ran.status == 0, ran.err
    review(folder / "workspace")
    made = copperline("data", "from-reviews", "reviews", "--val", 0.4, *workspace, "--json")
    assert made.status == 0, made.err
    assert (made.json["left_out"], made.json["source"]) == ({}, "reviews")
    assert made.json["crops"] > 0
    told = copperline("data", "from-reviews", "later", "--since", "2100-01-01", *workspace)
    assert (told.status, len(told.err.strip().splitlines())) == (1, 1)
    assert "found none of 0 images" in told.err

    train = ("train", "--data", "boards", "--data", "reviews", *workspace)
    trained = copperline(*train, "--init", "champion", "--mix", 1, "--mix", 2, *QUICK)
    assert trained.status == 0, trained.err
    assert (trained.json["model_version"], trained.json["aliases"]) == (2, ["challenger"])
    assert trained.json["init"] == "pcb-detector 1"
    card = json.loads(copperline("models", "show", "2", *workspace, "--json").out.splitlines()[-1])
    assert card["data_source"] == "deeppcb + reviews"  # the first is in DeepPCB's layout
    assert card["training"]["init"] == "pcb-detector 1"
    assert card["training"]["init_sha256"] == builtin_model("deeppcb").sha256
    assert card["training"]["mix"] == [1.0, 2.0]
    assert made.json["data_hash"] in card["training"]["data_hashes"]

    resumed = copperline(*train, "--resume", "last", "--json")
    assert resumed.status == 0, resumed.err
    assert resumed.json["validation"] == trained.json["validation"]
    other = copperline(*train, "--resume", "last", "--init", "builtin:golden-only")
    assert (other.status, len(other.err.strip().splitlines())) == (1, 1)
    assert "to have begun from golden-only" in other.err

    page = tmp_path / "comparison.html"
    compare = ("models", "compare", "champion", "challenger", "--data", "boards", *workspace)
    compared = copperline(*compare, "--report", page, "--json")
    assert compared.status == 0, compared.err
    assert compared.json["result"]["boards"] == 2
    assert compared.json["verdict"] in page.read_text().replace("&#39;", "'")
    seen = copperline("models", "compare", "1", "2", "--data", "reviews", "--split", "val", *workspace)
    assert "warning: version 2 had its operating point chosen on these boards" in seen.out
    assert "F-score" in seen.out
    assert "no ground for a promotion" in seen.out

    promoted = copperline("models", "promote", "challenger", "--reason", "finds more", *workspace)
    assert promoted.status == 0, promoted.err
    assert "Compared on reviews (val)" in promoted.out
    back = copperline("models", "promote", "1", *workspace, "--json")
    assert back.json["comparison"]["split"] == "val"


def test_a_promotion_without_a_comparison_is_told_and_not_forbidden(copperline: Run, tmp_path: Path) -> None:
    workspace = ("--workspace", tmp_path)
    first = copperline("models", "promote", "builtin:deeppcb", *workspace)
    assert (first.status, "compared" in first.out) == (0, False)
    second = copperline("models", "promote", "builtin:golden-only", *workspace)
    assert second.status == 0
    assert "was not compared with version 1, the champion so far: copperline models compare 1" in second.out
    assert copperline("models", "promote", "1", *workspace, "--json").json["comparison"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "--data", "boards", "--mix", 1), "found 1 shares of 1"),
        (("train", "--data", "boards", "--init", "builtin:none"), "no model 'none' is shipped"),
        (
            ("train", "--data", "boards", "--init", "builtin:deeppcb", "--network", "yolo12n"),
            "expected yolo12n",
        ),
        (("models", "compare", "champion", "builtin:deeppcb", "--data", "boards"), "to be the same file"),
        (("models", "compare", "9", "champion", "--data", "boards"), "found no '9'"),
        (("models", "compare", "champion", "builtin:golden-only", "--data", "none"), "expected an imported data set"),
        (("data", "from-reviews", "a/b"), "expected a plain name"),
        (("data", "from-reviews", "boards"), "the folder exists already"),
    ],
)
def test_what_cannot_be_asked_for(
    folder: Path, copperline: Run, tmp_path: Path, arguments: tuple[object, ...], message: str
) -> None:
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "boards").symlink_to(folder / "workspace" / "datasets" / "boards")
    ran = copperline(*arguments, "--workspace", tmp_path)
    assert ran.status == 1
    assert message in ran.err
    assert sum(line.startswith("error: ") for line in ran.err.splitlines()) == 1
