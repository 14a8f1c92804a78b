"""What the notebook's folder in Snowflake holds: the notebook, Copperline itself, and the names of the objects."""

from __future__ import annotations

from pathlib import Path

import copperline
from copperline.errors import DataError
from copperline.files import read_whole
from copperline.settings import TOML_FILE, Settings
from copperline.snowflake.own_wheel import Wheel
from copperline.workflows.snowflake_deployment.app_folder import settings_text, taxonomy_files
from copperline.workflows.snowflake_deployment.release import Release

NOTEBOOK_EXTRAS = ("snowflake", "train")
_FILE = "pcb_defect_detection.ipynb"


def notebook_file(given: Path | None) -> Path:
    """The notebook that was given, else the one beside the installed package, else that of the sources.

    Raises:
        DataError: there is none.
    """
    package = Path(copperline.__file__).parent
    places = [given] if given is not None else [package / "notebooks" / _FILE, package.parents[1] / "notebooks" / _FILE]
    for place in places:
        if place.is_file():
            return place
    raise DataError("expected a notebook, found none", where=places[0], fix="name one: --notebook FILE.ipynb")


def notebook_release(settings: Settings, wheel: Wheel, notebook: Path) -> Release:
    """The folder for these settings, this Copperline and this notebook; raises DataError if it cannot be read."""
    files = {
        notebook.name: read_whole(notebook),
        wheel.name: wheel.data,
        TOML_FILE: settings_text(settings, visitors=False).encode(),
        **taxonomy_files(settings),
    }
    return Release("notebook", files)
