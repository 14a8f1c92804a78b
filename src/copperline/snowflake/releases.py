"""SQL that brings a deployed app up to date, and tells which release runs: the end of its comment says so.

`CREATE STREAMLIT` copies the files once. Later ones are copied over them, the container starts again, and only then the
comment names the new release: after a cut the old name stands there, and the next run does it all again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from copperline.snowflake.apps import PACKAGES, STREAMLIT_RUNTIME
from copperline.snowflake.marks import comment
from copperline.snowflake.sql import literal
from copperline.snowflake_settings import SnowflakeSettings, quoted

_RELEASE = re.compile(r", release ([0-9a-f]{12})$")


def release_of(found: str | None) -> str | None:
    """The release that a comment names; None: none.

    >>> release_of("Made by Copperline: the dashboard, release 0123456789ab")
    '0123456789ab'
    """
    match = _RELEASE.search(found or "")
    return None if match is None else match[1]


def describe_streamlit(names: SnowflakeSettings) -> str:
    """One row, with `comment` and `live_version_location_uri`."""
    return f"DESCRIBE STREAMLIT {names.in_schema(names.streamlit)}"


def describe_notebook(names: SnowflakeSettings) -> str:
    """One row, with `comment`."""
    return f"DESCRIBE NOTEBOOK {names.in_schema(names.notebook)}"


def copy_into_live(names: SnowflakeSettings, live: str, folder: str, files: Iterable[str]) -> str:
    """Copies files of a folder on the stage over those of the app's live version.

    Args:
        names: of the account's objects.
        live: the version's place, as DESCRIBE tells it.
        folder: on the stage `names.stage`, without a slash at either end.
        files: paths in it.
    """
    return (
        f"COPY FILES INTO {literal(live.rstrip('/') + '/')}\n"
        f"  FROM {literal(f'@{names.in_schema(names.stage)}/{folder}/')}\n"
        f"  FILES = ({', '.join(map(literal, files))})"
    )


def fit_streamlit(names: SnowflakeSettings) -> str:
    """Has an app that is there run where the settings say, with its packages; those may have changed since."""
    return (
        f"ALTER STREAMLIT {names.in_schema(names.streamlit)} SET\n"
        f"  QUERY_WAREHOUSE = {quoted(names.warehouse)}\n"
        f"  RUNTIME_NAME = {literal(STREAMLIT_RUNTIME)}\n"
        f"  COMPUTE_POOL = {quoted(names.streamlit_pool)}\n"
        f"  ARTIFACT_REPOSITORIES = ({PACKAGES})"
    )


def restart_streamlit(names: SnowflakeSettings) -> str:
    """Ends the app's container, which goes on with the old code otherwise."""
    return f"CALL SYSTEM$RESTART_STREAMLIT({literal(names.in_schema(names.streamlit))})"


def mark_streamlit(names: SnowflakeSettings, release: str) -> str:
    """Says which release the app is of."""
    text = comment(f"the dashboard, release {release}")
    return f"ALTER STREAMLIT {names.in_schema(names.streamlit)} SET COMMENT = {text}"


def mark_notebook(names: SnowflakeSettings, release: str) -> str:
    """Says which release the notebook was made from."""
    text = comment(f"trains, registers and inspects, release {release}")
    return f"ALTER NOTEBOOK {names.in_schema(names.notebook)} SET COMMENT = {text}"
