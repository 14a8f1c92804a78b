from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from datetime import time
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("streamlit")

import copperline
from copperline.errors import DataError
from copperline.settings import Settings
from copperline.snowflake.own_wheel import Wheel
from copperline.workflows.snowflake_deployment.app_folder import app_release, pyproject_text, settings_text
from copperline.workflows.snowflake_deployment.notebook_folder import notebook_file, notebook_release

PLANT: dict[str, Any] = {
    "time_zone": "Europe/Berlin",
    "shift_starts": (time(6), time(18)),
    "dashboard_reviewers": ('"ann"', "BO"),
    "dashboard_reviewer_role": "qa",
    "alert_silent_minutes": 7.5,
    "snowflake": {"database": "Plant 1", "streamlit": 'the "app"'},
}


def test_the_settings_are_read_back_as_those_of_an_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = Settings(workspace=tmp_path / "secret place", warehouse_url="postgresql://u:pw@h/d", threads=3, **PLANT)
    text = settings_text(here)
    assert "secret place" not in text
    assert "pw" not in text
    (tmp_path / "copperline.toml").write_text(text)
    there = Settings.load()
    assert there.warehouse.startswith("snowflake://Plant%201/PUBLIC")
    assert there.registry_uri == "snowflake"
    assert there.dashboard_sign_in == "snowflake"
    for name in PLANT:
        assert getattr(there, name) == getattr(here, name)
    assert (there.threads, there.sinks) == (0, ())


def test_the_notebook_has_no_visitors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Wheel) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "n.ipynb").write_bytes(b"{}")
    files = notebook_release(Settings(**PLANT), small, tmp_path / "n.ipynb").files
    assert set(files) == {"n.ipynb", small.name, "copperline.toml"}
    read = tomllib.loads(files["copperline.toml"].decode())
    assert "dashboard_sign_in" not in read
    assert "dashboard_reviewers" not in read
    assert read["time_zone"] == "Europe/Berlin"


def test_the_factorys_classes_go_along(tmp_path: Path, small: Wheel) -> None:
    own = '[[classes]]\nid = 0\nname = "scratch"\nseverity = "minor"\ncolour = "#102030"\n'
    (tmp_path / "ours.toml").write_text(own)
    files = app_release(Settings(taxonomy_file=tmp_path / "ours.toml"), small).files
    assert files["taxonomy.toml"].decode() == own
    assert tomllib.loads(files["copperline.toml"].decode())["taxonomy_file"] == "taxonomy.toml"
    with pytest.raises(DataError, match="cannot be read"):
        app_release(Settings(taxonomy_file=tmp_path / "gone.toml"), small)


def test_packages_are_copperline_itself_and_the_versions_that_are_installed_here(small: Wheel) -> None:
    read = tomllib.loads(pyproject_text(small))
    assert read["tool"]["uv"]["sources"] == {"copperline": {"path": small.name}}
    assert read["project"]["dependencies"] == [
        "copperline[dashboard,snowflake]",
        *(f"{name}=={metadata.version(name)}" for name in ("streamlit", "plotly")),
    ]


def test_the_look_is_that_of_the_dashboard(small: Wheel) -> None:
    config = tomllib.loads(app_release(Settings(), small).files[".streamlit/config.toml"].decode())
    assert config["theme"]["light"]["primaryColor"] == "#9a4a12"
    assert config["client"]["showErrorDetails"] == "none"
    assert config["browser"]["gatherUsageStats"] is False


def test_the_name_of_a_release_follows_from_its_content(small: Wheel) -> None:
    first, same = app_release(Settings(), small), app_release(Settings(), small)
    assert first.name == same.name
    assert first.folder == f"app/{first.name}"
    assert app_release(Settings(time_zone="Asia/Tokyo"), small).name != first.name
    assert app_release(Settings(), Wheel(small.name, b"another")).name != first.name


def test_a_notebook_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected a notebook, found none; name one: --notebook"):
        notebook_file(tmp_path / "gone.ipynb")


# Opens the app as a visitor whom nobody signed in: all that it takes is imported, and no account is asked.
VISIT = """
import sys
import copperline
from streamlit.testing.v1 import AppTest
app = AppTest.from_file(sys.argv[1], default_timeout=60)
app.user = {}
ran = app.run()
assert not ran.exception, ran.exception
print(copperline.__file__, [t.value for t in ran.title], ran.error[0].value, sep="|")
"""


def test_the_folder_runs_in_a_process_that_has_nothing_else(wheel: Wheel, settings: Settings, tmp_path: Path) -> None:
    release = app_release(settings, wheel)
    folder, packages = tmp_path / "app", tmp_path / "packages"
    release.write(folder)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--no-compile", "--target", packages, folder / wheel.name], check=True, timeout=60)
    alone = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(packages), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", VISIT, folder / "streamlit_app.py"],
        cwd=tmp_path, env=alone, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    file, titles, error = ran.stdout.strip().splitlines()[-1].split("|")
    assert Path(file).is_relative_to(packages)
    for name in ("models/deeppcb.onnx", "dashboard/theme.toml", "dashboard/script/streamlit_app.py"):
        assert (Path(file).parent / name).read_bytes() == (Path(copperline.__file__).parent / name).read_bytes()
    assert titles == "['Copperline']"
    assert error == "expected a visitor whom Snowflake has signed in, found none"


# Pages where a package cannot be imported, as on a machine that it has no build for.
WITHOUT = """
import sys
sys.modules["onnxruntime"] = None
from streamlit.testing.v1 import AppTest
script = '''
from copperline.dashboard.app import PAGES, _guarded
next(_guarded(entry) for entry in PAGES if entry.module == "{}")()
'''
for module in ("overview", "vision_lab", "models"):
    ran = AppTest.from_string(script.format(module), default_timeout=60).run()
    assert not ran.exception, (module, ran.exception)
    print(module, any("needs onnxruntime" in error.value for error in ran.error), sep="|")
"""


def test_without_onnx_runtime_a_page_that_needs_it_says_so(tmp_path: Path) -> None:
    alone = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    alone["PYTHONPATH"] = str(Path(copperline.__file__).parents[1])
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT], cwd=tmp_path, env=alone, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    said = dict(line.split("|") for line in ran.stdout.strip().splitlines() if "|" in line)
    assert said == {"overview": "False", "vision_lab": "True", "models": "True"}
