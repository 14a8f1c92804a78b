"""The app and the notebook as a project of Snowflake's own command line: `snow streamlit deploy`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from copperline.errors import DataError
from copperline.files import atomic_folder
from copperline.snowflake.apps import GPU_RUNTIME, PACKAGES, STREAMLIT_RUNTIME
from copperline.snowflake.marks import MARK
from copperline.snowflake_settings import SnowflakeSettings
from copperline.stage import StagePath
from copperline.workflows.snowflake_deployment.app_folder import MAIN_FILE
from copperline.workflows.snowflake_deployment.deployment import Deployment

PROJECT_FILE = "snowflake.yml"
_NOTEBOOK_FOLDER = "notebook"


def write_project(deployment: Deployment, folder: Path) -> None:
    """Writes the project, whole or not at all; a project that this wrote before is replaced.

    Raises:
        DataError: the folder holds something else, or cannot be written.
    """
    if not deployment.releases:
        raise DataError("expected the app or the notebook to write, found neither", fix="add --only app")
    with atomic_folder(folder, overwrite=True, marker=PROJECT_FILE) as partial:
        (partial / PROJECT_FILE).write_text(project_text(deployment), encoding="utf-8")
        if deployment.app is not None:
            deployment.app.write(partial)
        if deployment.notebook is not None:
            deployment.notebook.write(partial / _NOTEBOOK_FOLDER)


def project_text(deployment: Deployment) -> str:
    """The text of `snowflake.yml`."""
    names = deployment.settings.snowflake
    entities: dict[str, Any] = {}
    if deployment.app is not None:
        entities["dashboard"] = {
            "type": "streamlit",
            "identifier": _identifier(names, names.streamlit),
            "title": "Copperline",
            "comment": f"{MARK}: the dashboard",
            "query_warehouse": names.warehouse,
            "runtime_name": STREAMLIT_RUNTIME,
            "compute_pool": names.streamlit_pool,
            "main_file": MAIN_FILE,
            "artifacts": sorted(deployment.app.files),
        }
    if deployment.notebook is not None:
        files = sorted(deployment.notebook.files)
        entities["notebook"] = {
            "type": "notebook",
            "identifier": _identifier(names, names.notebook),
            "query_warehouse": names.warehouse,
            "notebook_file": f"{_NOTEBOOK_FOLDER}/{deployment.notebook_file}",
            "stage_path": str(StagePath.of_settings(names, f"notebook/{deployment.notebook.name}")),
            "compute_pool": names.compute_pool,
            "runtime_name": GPU_RUNTIME,
            "artifacts": [f"{_NOTEBOOK_FOLDER}/{file}" for file in files],
        }
    text = yaml.safe_dump({"definition_version": 2, "entities": entities}, sort_keys=False, allow_unicode=True)
    return _after(names) + text


def _after(names: SnowflakeSettings) -> str:
    """What this file cannot say, as a comment: names are of printable characters, so it stays one."""
    return (
        "# Of `copperline snowflake deploy --project`. After `snow streamlit deploy dashboard`, once, let the app\n"
        "# have its packages:\n"
        f"# ALTER STREAMLIT {names.in_schema(names.streamlit)} SET ARTIFACT_REPOSITORIES = ({PACKAGES});\n"
    )


def _identifier(names: SnowflakeSettings, name: str) -> dict[str, str]:
    return {"name": name, "schema": names.schema_name, "database": names.database}
