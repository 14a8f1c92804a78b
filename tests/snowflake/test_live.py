"""Setup, status and teardown in a real account: only where SNOWFLAKE_ACCOUNT is set.

Everything gets names with a random part, so that nothing of the account is touched; what was made is removed in the
end, also after a failure. Nothing is started, so it costs next to nothing. It needs ACCOUNTADMIN.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest

from copperline.snowflake.account import Run, State, look, runner
from copperline.snowflake.session import connection_to_account
from copperline.snowflake.setting_up import plan_teardown, set_up, tear_down
from copperline.snowflake_settings import SnowflakeSettings
from copperline.workflows.snowflake_account import objects_of

pytestmark = pytest.mark.skipif(
    not os.environ.get("SNOWFLAKE_ACCOUNT"), reason="SNOWFLAKE_ACCOUNT is not set: there is no account to try it on"
)


@pytest.fixture(scope="module")
def names() -> SnowflakeSettings:
    prefix = f"COPPERLINE_TEST_{secrets.token_hex(4).upper()}"
    account_wide = (
        "database", "role", "reader_role", "warehouse", "compute_pool", "external_access", "api_integration",
        "resource_monitor",
    )  # fmt: skip
    given = {name: f"{prefix}_{name.upper()}" for name in account_wide}
    family = os.environ.get("COPPERLINE_TEST_INSTANCE_FAMILY", "CPU_X64_XS")
    return SnowflakeSettings.model_validate({**given, "instance_family": family})


@pytest.fixture(scope="module")
def run(names: SnowflakeSettings) -> Iterator[Run]:
    with connection_to_account() as connection:
        run = runner(connection)
        try:
            yield run
        finally:
            tear_down(run, names, plan_teardown(run, names, objects_of(names)), lambda done, total: None)


def _states(run: Run, names: SnowflakeSettings) -> dict[str, State]:
    run(f'USE ROLE "{names.admin_role}"')
    return {str(one.about): one.state for one in look(run, names, objects_of(names))}


def test_an_account_from_nothing_and_back(run: Run, names: SnowflakeSettings) -> None:
    objects = objects_of(names)
    wanted = {str(thing) for thing in objects if thing.maker == "setup" and thing.wanted}
    assert set(_states(run, names).values()) == {State.MISSING}
    set_up(run, names, objects, lambda done, total: None)
    states = _states(run, names)
    assert {name for name, state in states.items() if state is State.THERE} == wanted
    before = set_up(run, names, objects, lambda done, total: None)
    assert {str(one.about) for one in before if one.state is State.THERE} == wanted
    tear_down(run, names, plan_teardown(run, names, objects), lambda done, total: None)
    assert set(_states(run, names).values()) == {State.MISSING}
