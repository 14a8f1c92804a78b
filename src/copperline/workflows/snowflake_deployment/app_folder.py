"""What the app's folder in Snowflake holds: a few lines that start the dashboard, Copperline itself, its settings.

It runs in a container: only there is any version of Streamlit, with PyPI's packages. The packages come out of
Snowflake's own copy of PyPI, so that the app reaches nothing outside the account.
"""

from __future__ import annotations

from importlib import metadata, resources
from typing import Any

from copperline.errors import SettingsError
from copperline.files import read_whole
from copperline.settings import TOML_FILE, Settings
from copperline.snowflake.own_wheel import Wheel
from copperline.snowflake_settings import SnowflakeSettings
from copperline.workflows.snowflake_deployment.release import Release
from copperline.workflows.snowflake_deployment.toml_text import Value, toml_text

MAIN_FILE = "streamlit_app.py"
EXTRAS = ("dashboard", "snowflake")
TAXONOMY_FILE = "taxonomy.toml"
# Only what is there until the container ends: nothing is kept in it.
WORKSPACE = "/var/tmp/copperline"
# The pages are built on what these two do: the app gets the versions that are installed here.
_PINNED = ("streamlit", "plotly")
# Settings that the pages use, and that mean the same wherever the app runs.
_TAKEN = ("model_name", "time_zone", "shift_starts")
_VISITORS = ("dashboard_reviewers", "dashboard_reviewer_role")
_CLIENT = """
[client]
toolbarMode = "minimal"
showErrorDetails = "none"

[browser]
gatherUsageStats = false
"""


def app_release(settings: Settings, wheel: Wheel) -> Release:
    """The folder for these settings and this Copperline.

    Raises:
        SettingsError: the extra `dashboard` is not installed here.
        DataError: the taxonomy's file cannot be read.
    """
    files = {
        MAIN_FILE: resources.files("copperline.dashboard.script").joinpath(MAIN_FILE).read_bytes(),
        "pyproject.toml": pyproject_text(wheel).encode(),
        TOML_FILE: settings_text(settings).encode(),
        ".streamlit/config.toml": _theme() + _CLIENT.encode(),
        wheel.name: wheel.data,
        **taxonomy_files(settings),
    }
    return Release("app", files)


def taxonomy_files(settings: Settings) -> dict[str, bytes]:
    """The file with the factory's defect classes, as `settings_text` names it; none: the built-in ones."""
    return {} if settings.taxonomy_file is None else {TAXONOMY_FILE: read_whole(settings.taxonomy_file)}


def pyproject_text(wheel: Wheel) -> str:
    """The packages of the app, as uv reads them: Copperline from the wheel beside it, all others from the index."""
    pins = "".join(f'  "{name}=={_installed(name)}",\n' for name in _PINNED)
    return (
        "# Written by `copperline snowflake deploy`. The app's packages come from the artifact repository that is\n"
        "# attached to it, snowflake.snowpark.pypi_shared_repository: nothing outside Snowflake is reached.\n"
        '[project]\nname = "copperline-app"\nversion = "1"\nrequires-python = ">=3.11"\n'
        f'dependencies = [\n  "copperline[{",".join(EXTRAS)}]",\n{pins}]\n\n'
        f'[tool.uv.sources]\ncopperline = {{ path = "{wheel.name}" }}\n'
    )


def settings_text(settings: Settings, *, visitors: bool = True) -> str:
    """The `copperline.toml` beside app or notebook: tables and registry are Snowflake's; no path or secret of here.

    With `visitors`, it is Snowflake who signs them in, and the settings say who of them reviews.

    >>> print(settings_text(Settings(dashboard_reviewers=("ANN",))), end="")
    workspace = "/var/tmp/copperline"
    warehouse_url = "snowflake://"
    registry_uri = "snowflake"
    dashboard_sign_in = "snowflake"
    dashboard_reviewers = ["ANN"]
    """
    values: dict[str, Value] = {"workspace": WORKSPACE, "warehouse_url": "snowflake://", "registry_uri": "snowflake"}
    if visitors:
        values |= {"dashboard_sign_in": "snowflake"} | _changed(settings, _VISITORS)
    if settings.taxonomy_file is not None:
        values["taxonomy_file"] = TAXONOMY_FILE
    alerts = tuple(name for name in Settings.model_fields if name.startswith("alert_"))
    values |= _changed(settings, (*_TAKEN, *alerts))
    names = _changed(settings.snowflake, tuple(SnowflakeSettings.model_fields))
    return toml_text(values, {"snowflake": names} if names else {})


def _changed(settings: Any, names: tuple[str, ...]) -> dict[str, Value]:
    """Those that are not as by default."""
    fields = type(settings).model_fields
    return {name: getattr(settings, name) for name in names if getattr(settings, name) != fields[name].default}


def _theme() -> bytes:
    return resources.files("copperline.dashboard").joinpath("theme.toml").read_bytes()


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError as error:
        raise SettingsError(
            f"the app gets the version of {name} that is installed here, and there is none",
            fix="pip install 'copperline[dashboard,snowflake]'",
        ) from error
