"""Statements of the notebook and the app."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copperline.snowflake import (
    allow_notebook,
    create_notebook,
    create_streamlit,
    drop_notebook,
    drop_streamlit,
    open_notebook,
    open_streamlit,
    share_streamlit,
)
from copperline.snowflake_settings import SnowflakeSettings

sqlglot = pytest.importorskip("sqlglot", reason="sqlglot is not installed")
NAMES = SnowflakeSettings()


def test_the_notebook_runs_on_the_compute_pool() -> None:
    assert create_notebook(NAMES, "notebook", "pcb_defect_detection.ipynb") == (
        'CREATE NOTEBOOK IF NOT EXISTS "PCB_CV"."PUBLIC"."PCB_DEFECT_DETECTION"\n'
        """  FROM '@"PCB_CV"."PUBLIC"."MODEL_STAGE"/notebook'\n"""
        "  MAIN_FILE = 'pcb_defect_detection.ipynb'\n"
        "  COMMENT = 'Made by Copperline: trains, registers and inspects'\n"
        '  QUERY_WAREHOUSE = "PCB_CV_WH"\n'
        "  IDLE_AUTO_SHUTDOWN_TIME_SECONDS = 3600\n"
        "  RUNTIME_NAME = 'SYSTEM$GPU_RUNTIME'\n"
        "  COMPUTE_POOL = 'PCB_CV_COMPUTEPOOL'"
    )
    assert open_notebook(NAMES).endswith("ADD LIVE VERSION FROM LAST")
    assert drop_notebook(NAMES) == 'DROP NOTEBOOK IF EXISTS "PCB_CV"."PUBLIC"."PCB_DEFECT_DETECTION"'


def test_the_notebook_reaches_the_allowed_hosts_or_none() -> None:
    allowed = allow_notebook(NAMES)
    assert allowed is not None
    assert allowed.endswith('SET EXTERNAL_ACCESS_INTEGRATIONS = ("PCB_CV_EXTERNAL_ACCESS")')
    assert allow_notebook(SnowflakeSettings(allowed_hosts=())) is None


def test_the_app_runs_in_a_container_with_packages_of_snowflakes_own_copy_of_pypi() -> None:
    assert create_streamlit(NAMES, "/app/", "streamlit_app.py") == (
        'CREATE STREAMLIT IF NOT EXISTS "PCB_CV"."PUBLIC"."PCB_DEFECT_DETECTION_APP"\n'
        """  FROM '@"PCB_CV"."PUBLIC"."MODEL_STAGE"/app'\n"""
        "  MAIN_FILE = 'streamlit_app.py'\n"
        '  QUERY_WAREHOUSE = "PCB_CV_WH"\n'
        "  RUNTIME_NAME = 'SYSTEM$ST_CONTAINER_RUNTIME_PY3_11'\n"
        '  COMPUTE_POOL = "SYSTEM_COMPUTE_POOL_CPU"\n'
        "  COMMENT = 'Made by Copperline: the dashboard'\n"
        "  TITLE = 'Copperline'\n"
        "  ARTIFACT_REPOSITORIES = (snowflake.snowpark.pypi_shared_repository)"
    )
    assert open_streamlit(NAMES).endswith("ADD LIVE VERSION FROM LAST")


def test_readers_look_at_the_app_and_get_nothing_else() -> None:
    granted = share_streamlit(NAMES)
    assert granted == ('GRANT USAGE ON STREAMLIT "PCB_CV"."PUBLIC"."PCB_DEFECT_DETECTION_APP" TO ROLE "PCB_CV_READER"')
    assert drop_streamlit(NAMES) == 'DROP STREAMLIT IF EXISTS "PCB_CV"."PUBLIC"."PCB_DEFECT_DETECTION_APP"'


@given(st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=30))
def test_folder_file_and_title_stay_strings(text: str) -> None:
    for sql in (create_notebook(NAMES, text, text), create_streamlit(NAMES, text, text, title=text)):
        strings = [
            t.text for t in sqlglot.tokenize(sql, read="snowflake") if t.token_type == sqlglot.tokens.TokenType.STRING
        ]
        assert f'@"PCB_CV"."PUBLIC"."MODEL_STAGE"/{text.strip("/")}' in strings
        assert text in strings


@pytest.mark.parametrize("statement", ["CREATE NOTEBOOK", "CREATE STREAMLIT"])
def test_nothing_is_replaced(statement: str) -> None:
    made = create_notebook(NAMES, "f", "m"), create_streamlit(NAMES, "f", "m")
    assert sum(sql.startswith(f"{statement} IF NOT EXISTS ") for sql in made) == 1
