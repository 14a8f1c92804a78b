"""SQL of the notebook and of the Streamlit app, from folders on the stage.

Both are made if they are missing, and never replaced: what people changed in Snowflake stays until it is dropped.
"""

from __future__ import annotations

from copperline.snowflake.marks import comment
from copperline.snowflake.sql import literal
from copperline.snowflake_settings import SnowflakeSettings, quoted

GPU_RUNTIME = "SYSTEM$GPU_RUNTIME"
STREAMLIT_RUNTIME = "SYSTEM$ST_CONTAINER_RUNTIME_PY3_11"
# Snowflake's copy of PyPI. The app's owner needs the database role SNOWFLAKE.PYPI_REPOSITORY_USER.
PACKAGES = "snowflake.snowpark.pypi_shared_repository"
_NOTEBOOK_IDLE_S = 3600


def create_notebook(
    names: SnowflakeSettings,
    folder: str,
    main_file: str,
    *,
    runtime_name: str = GPU_RUNTIME,
    idle_s: int = _NOTEBOOK_IDLE_S,
) -> str:
    """The notebook on the compute pool, as Container Runtime runs it.

    Args:
        names: of the account's objects.
        folder: on the stage `names.stage`, without a leading slash.
        main_file: the .ipynb in it.
        runtime_name: of Container Runtime.
        idle_s: seconds without work after which its node is given back, 60 to 259,200.
    """
    return (
        f"CREATE NOTEBOOK IF NOT EXISTS {names.in_schema(names.notebook)}\n"
        f"  FROM {_location(names, folder)}\n"
        f"  MAIN_FILE = {literal(main_file)}\n"
        f"  COMMENT = {comment('trains, registers and inspects')}\n"
        f"  QUERY_WAREHOUSE = {quoted(names.warehouse)}\n"
        f"  IDLE_AUTO_SHUTDOWN_TIME_SECONDS = {idle_s:d}\n"
        f"  RUNTIME_NAME = {literal(runtime_name)}\n"
        f"  COMPUTE_POOL = {literal(names.compute_pool)}"
    )


def open_notebook(names: SnowflakeSettings) -> str:
    """Makes the last version of the notebook the one that runs; without it, it has to be opened by hand first."""
    return f"ALTER NOTEBOOK {names.in_schema(names.notebook)} ADD LIVE VERSION FROM LAST"


def allow_notebook(names: SnowflakeSettings) -> str | None:
    """Lets the notebook reach `names.allowed_hosts`; None: there are none."""
    if not names.allowed_hosts:
        return None
    access = quoted(names.external_access)
    return f"ALTER NOTEBOOK {names.in_schema(names.notebook)} SET EXTERNAL_ACCESS_INTEGRATIONS = ({access})"


def create_streamlit(
    names: SnowflakeSettings,
    folder: str,
    main_file: str,
    *,
    title: str = "Copperline",
) -> str:
    """The Streamlit app, in a container: the virtual warehouse's own runtime has too old a Streamlit for the pages.

    Its packages come from Snowflake's copy of PyPI, so that it needs no access to anything outside the account.

    Args:
        names: of the account's objects.
        folder: on the stage `names.stage`, without a leading slash.
        main_file: in the root of the folder.
        title: that viewers see.
    """
    return (
        f"CREATE STREAMLIT IF NOT EXISTS {names.in_schema(names.streamlit)}\n"
        f"  FROM {_location(names, folder)}\n"
        f"  MAIN_FILE = {literal(main_file)}\n"
        f"  QUERY_WAREHOUSE = {quoted(names.warehouse)}\n"
        f"  RUNTIME_NAME = {literal(STREAMLIT_RUNTIME)}\n"
        f"  COMPUTE_POOL = {quoted(names.streamlit_pool)}\n"
        f"  COMMENT = {comment('the dashboard')}\n"
        f"  TITLE = {literal(title)}\n"
        f"  ARTIFACT_REPOSITORIES = ({PACKAGES})"
    )


def open_streamlit(names: SnowflakeSettings) -> str:
    """Makes the app's last version the one that viewers see; without it, its owner has to open it first."""
    return f"ALTER STREAMLIT {names.in_schema(names.streamlit)} ADD LIVE VERSION FROM LAST"


def share_streamlit(names: SnowflakeSettings) -> str:
    """Lets the reader role look at the app, which works with its owner's rights."""
    return f"GRANT USAGE ON STREAMLIT {names.in_schema(names.streamlit)} TO ROLE {quoted(names.reader_role)}"


def drop_notebook(names: SnowflakeSettings) -> str:
    """The notebook and all its versions."""
    return f"DROP NOTEBOOK IF EXISTS {names.in_schema(names.notebook)}"


def drop_streamlit(names: SnowflakeSettings) -> str:
    """The app and all its versions."""
    return f"DROP STREAMLIT IF EXISTS {names.in_schema(names.streamlit)}"


def _location(names: SnowflakeSettings, folder: str) -> str:
    return literal(f"@{names.in_schema(names.stage)}/{folder.strip('/')}")
