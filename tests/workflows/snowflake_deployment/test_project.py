from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from copperline.errors import DataError
from copperline.settings import Settings
from copperline.snowflake.own_wheel import Wheel
from copperline.workflows.snowflake_deployment.app_folder import app_release
from copperline.workflows.snowflake_deployment.deployment import Deployment
from copperline.workflows.snowflake_deployment.project import project_text, write_project
from copperline.workflows.snowflake_deployment.release import Release

pytest.importorskip("streamlit")


@pytest.fixture
def deployment(settings: Settings, small: Wheel) -> Deployment:
    notebook = Release("notebook", {"n.ipynb": b"{}", small.name: small.data})
    return Deployment(settings, None, None, notebook, "n.ipynb", app_release(settings, small))


def test_the_folder_has_every_file_that_the_project_names(deployment: Deployment, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    write_project(deployment, folder)
    project = yaml.safe_load((folder / "snowflake.yml").read_text())
    for entity in project["entities"].values():
        for artifact in entity["artifacts"]:
            assert (folder / artifact).is_file()
    assert (folder / project["entities"]["notebook"]["notebook_file"]).read_bytes() == b"{}"
    assert (folder / ".streamlit" / "config.toml").is_file()
    write_project(deployment, folder)  # over its own


def test_a_folder_of_something_else_stays(deployment: Deployment, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(DataError, match=r"expected a folder with snowflake\.yml"):
        write_project(deployment, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


def test_there_must_be_something_to_write(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected the app or the notebook"):
        write_project(Deployment(settings, None, None, None, "", None), tmp_path / "project")


@pytest.fixture(scope="module")
def schema() -> Any:
    """What Snowflake's own command line takes for a project."""
    program = os.environ.get("COPPERLINE_SNOW") or shutil.which("snow")
    if program is None:
        pytest.skip("no Snowflake CLI: name its program `snow` in COPPERLINE_SNOW")
    ran = subprocess.run(
        [program, "helpers", "generate-project-schema"], capture_output=True, text=True, check=True, timeout=120
    )
    return json.loads(ran.stdout)


def test_snowflakes_command_line_takes_the_project(deployment: Deployment, schema: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(yaml.safe_load(project_text(deployment)), schema)


def test_snowflakes_command_line_takes_names_that_need_quotes(deployment: Deployment, schema: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    odd = Settings(snowflake={"database": "Plant 1", "streamlit": 'the "app"; DROP', "stage": "füße"})
    changed = Deployment(odd, None, None, deployment.notebook, "n.ipynb", deployment.app)
    project = yaml.safe_load(project_text(changed))
    jsonschema.validate(project, schema)
    assert project["entities"]["dashboard"]["identifier"]["name"] == 'the "app"; DROP'


@pytest.mark.parametrize(
    ("where", "value"), [("runtime", "x"), ("main_file", 7), ("artifacts", "all"), ("type", "streamlits")]
)
def test_the_schema_finds_a_mistake(deployment: Deployment, schema: Any, where: str, value: object) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    project = yaml.safe_load(project_text(deployment))
    project["entities"]["dashboard"][where] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(project, schema)
