"""Setup and teardown against an account that keeps objects, roles and owners."""

from __future__ import annotations

from typing import Any

import pytest

from copperline.errors import SnowflakeError
from copperline.snowflake.account import Found, State, become_what_sees_most, look
from copperline.snowflake.objects import AccountObject
from copperline.snowflake.setting_up import plan_teardown, set_up, tear_down
from copperline.snowflake_settings import SnowflakeSettings
from copperline.workflows.snowflake_account import objects_of

errors = pytest.importorskip("snowflake.connector.errors", reason="the extra snowflake is not installed")
pytest.importorskip("snowflake.sqlalchemy", reason="the extra snowflake is not installed")

Objects = tuple[AccountObject, ...]


def _ignore(done: int, total: int) -> None:
    pass


def _states(found: list[Found]) -> dict[str, State]:
    return {str(one.about): one.state for one in found}


def _by_setup(objects: Objects) -> set[str]:
    return {str(thing) for thing in objects if thing.maker == "setup"}


def _look(account: Any, names: SnowflakeSettings, objects: Objects) -> dict[str, State]:
    account.role = "ACCOUNTADMIN"
    return _states(look(account, names, objects))


def test_setup_makes_all_and_status_sees_it(account: Any, names: SnowflakeSettings, objects: Objects) -> None:
    told: list[tuple[int, int]] = []
    before = set_up(account, names, objects, lambda done, total: told.append((done, total)))
    assert {one.state for one in before} == {State.MISSING}
    after = _look(account, names, objects)
    there = {name for name, state in after.items() if state is State.THERE}
    assert there == _by_setup(objects)
    assert {after[name] for name in set(after) - there} == {State.MISSING}, "the others make these"
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1] == len(told) - 1


def test_a_second_setup_changes_nothing(account: Any, names: SnowflakeSettings, objects: Objects) -> None:
    set_up(account, names, objects, _ignore)
    kept = {key: dict(row) for key, row in account.objects.items()}
    before = set_up(account, names, objects, _ignore)
    assert account.objects == kept
    assert {str(one.about) for one in before if one.state is State.THERE} == _by_setup(objects)


def test_an_interrupted_setup_goes_on(account: Any, names: SnowflakeSettings, objects: Objects) -> None:
    account.refuse["CREATE COMPUTE POOL"] = errors.OperationalError("Connection aborted", errno=250003)
    with pytest.raises(SnowflakeError, match=r"compute pool PCB_CV_COMPUTEPOOL: .*start again"):
        set_up(account, names, objects, _ignore)
    half = _look(account, names, objects)
    assert half["warehouse PCB_CV_WH"] is State.THERE
    assert half["compute pool PCB_CV_COMPUTEPOOL"] is State.MISSING
    assert half["stage MODEL_STAGE"] is State.MISSING
    account.refuse.clear()
    set_up(account, names, objects, _ignore)
    assert all(_look(account, names, objects)[name] is State.THERE for name in _by_setup(objects))


@pytest.mark.parametrize(
    ("kind", "name", "owner", "comment"),
    [
        ("DATABASE", "PCB_CV", "FINANCE", "Made by Copperline: but given away"),
        ("DATABASE", "PCB_CV", "ACCOUNTADMIN", "the finance department's"),
        ("WAREHOUSE", "PCB_CV_WH", "ACCOUNTADMIN", ""),
        ("ROLE", "PCB_CV_ROLE", "USERADMIN", "Made by Copperline"),
        ("RESOURCE MONITOR", "PCB_CV_MONITOR", "ACCOUNTADMIN", ""),
        ("COMPUTE POOL", "PCB_CV_COMPUTEPOOL", "", "Made by Copperline"),
        ("API INTEGRATION", "PCB_CV_GIT_API", "", "git of another team"),
    ],
)
def test_what_is_of_someone_else_stops_setup_before_any_change(
    account: Any, names: SnowflakeSettings, objects: Objects, kind: str, name: str, owner: str, comment: str
) -> None:
    account.add(kind, name, owner, comment)
    with pytest.raises(SnowflakeError, match=rf"{kind.lower()} {name}.*nothing was changed.*\[snowflake\]"):
        set_up(account, names, objects, _ignore)
    assert account.changes == []
    assert _look(account, names, objects)[f"{kind.lower()} {name}"] is State.FOREIGN


def test_a_name_that_only_looks_alike_is_no_obstacle(account: Any) -> None:
    names = SnowflakeSettings(database="a_b", warehouse="wh 100%")
    account.add("DATABASE", "AXB", "FINANCE")
    account.add("WAREHOUSE", "wh 100 more", "FINANCE")
    account.add("WAREHOUSE", "WH 100%", "FINANCE")
    set_up(account, names, objects_of(names), _ignore)
    assert {"A_B", "AXB"} <= account.names("DATABASE")
    assert {"wh 100%", "WH 100%"} <= account.names("WAREHOUSE")


def test_a_region_without_these_gpus_is_named_before_any_change(
    account: Any, names: SnowflakeSettings, objects: Objects
) -> None:
    account.families = ("CPU_X64_XS", "GPU_NV_S")
    with pytest.raises(SnowflakeError, match=r"GPU_NV_M in this account's region, found these with GPUs: GPU_NV_S"):
        set_up(account, names, objects, _ignore)
    account.families = ("CPU_X64_XS",)
    with pytest.raises(SnowflakeError, match=r"none with GPUs, only CPU_X64_XS"):
        set_up(account, names, objects, _ignore)
    assert account.changes == []


def test_without_the_administrators_role_the_grant_is_named(
    account: Any, names: SnowflakeSettings, objects: Objects
) -> None:
    account.may_act_as = {"PUBLIC"}
    with pytest.raises(SnowflakeError, match='GRANT ROLE "ACCOUNTADMIN" TO USER "ANN"'):
        set_up(account, names, objects, _ignore)
    assert account.changes == []


@pytest.mark.parametrize(
    ("statement", "said", "remedy"),
    [
        (
            "CREATE WAREHOUSE",
            "SQL access control error:\nInsufficient privileges to operate on account 'AB123'.",
            'GRANT CREATE WAREHOUSE ON ACCOUNT TO ROLE "ACCOUNTADMIN"',
        ),
        (
            "CREATE COMPUTE POOL",
            "SQL access control error:\nInsufficient privileges to operate on account 'AB123'.",
            'GRANT CREATE COMPUTE POOL ON ACCOUNT TO ROLE "ACCOUNTADMIN"',
        ),
        (
            "CREATE STAGE",
            "SQL access control error:\nInsufficient privileges to operate on schema 'PUBLIC'.",
            'GRANT CREATE STAGE ON SCHEMA "PCB_CV"."PUBLIC" TO ROLE "PCB_CV_ROLE"',
        ),
        (
            'GRANT USAGE ON DATABASE "PCB_CV"',
            "SQL access control error:\nInsufficient privileges to operate on database 'PCB_CV'.",
            'it needs OWNERSHIP ON DATABASE "PCB_CV"',
        ),
        (
            "CREATE RESOURCE MONITOR",
            "SQL access control error:\nInsufficient privileges to operate on resource monitor 'PCB_CV_MONITOR'.",
            "which Snowflake gives to ACCOUNTADMIN alone",
        ),
    ],
)
def test_a_missing_privilege_is_told_with_the_grant_that_gives_it(
    account: Any, names: SnowflakeSettings, objects: Objects, statement: str, said: str, remedy: str
) -> None:
    account.refuse[statement] = errors.ProgrammingError(said, errno=3001, sqlstate="42501")
    with pytest.raises(SnowflakeError) as refusal:
        set_up(account, names, objects, _ignore)
    text = str(refusal.value)
    assert remedy in text
    assert "Insufficient privileges to operate on" in text
    assert "\n" not in text


def test_teardown_removes_what_setup_made_and_nothing_else(
    account: Any, names: SnowflakeSettings, objects: Objects
) -> None:
    account.add("WAREHOUSE", "FINANCE_WH", "FINANCE")
    set_up(account, names, objects, _ignore)
    account.add("NOTEBOOK", names.notebook, names.role)
    found = plan_teardown(account, names, objects)
    assert _states(found)[f"notebook {names.notebook}"] is State.THERE
    tear_down(account, names, found, _ignore)
    assert set(account.objects) == {("WAREHOUSE", "FINANCE_WH")}
    assert set(_look(account, names, objects).values()) == {State.MISSING}
    stopped = account.ran.index('ALTER COMPUTE POOL IF EXISTS "PCB_CV_COMPUTEPOOL" STOP ALL')
    assert stopped < account.ran.index('DROP COMPUTE POOL IF EXISTS "PCB_CV_COMPUTEPOOL"')


def test_an_interrupted_teardown_goes_on(account: Any, names: SnowflakeSettings, objects: Objects) -> None:
    set_up(account, names, objects, _ignore)
    account.refuse["DROP DATABASE"] = errors.OperationalError("Connection aborted", errno=250003)
    with pytest.raises(SnowflakeError, match="database PCB_CV: "):
        tear_down(account, names, plan_teardown(account, names, objects), _ignore)
    half = _look(account, names, objects)
    assert half["compute pool PCB_CV_COMPUTEPOOL"] is State.MISSING
    assert half["resource monitor PCB_CV_MONITOR"] is State.THERE, "its voucher, the role, goes last"
    account.refuse.clear()
    tear_down(account, names, plan_teardown(account, names, objects), _ignore)
    assert account.objects == {}


def test_teardown_leaves_what_is_of_someone_else(account: Any, names: SnowflakeSettings, objects: Objects) -> None:
    set_up(account, names, objects, _ignore)
    account.objects["WAREHOUSE", "PCB_CV_WH"]["owner"] = "FINANCE"
    tear_down(account, names, plan_teardown(account, names, objects), _ignore)
    assert set(account.objects) == {("WAREHOUSE", "PCB_CV_WH")}


def test_teardown_does_not_take_a_strangers_table_with_the_database(
    account: Any, names: SnowflakeSettings, objects: Objects
) -> None:
    set_up(account, names, objects, _ignore)
    account.add("TABLE", "LEDGER", "FINANCE")
    with pytest.raises(SnowflakeError, match=r"LEDGER of FINANCE.*nothing was removed"):
        plan_teardown(account, names, objects)
    assert not any(sql.startswith("DROP") for sql in account.ran)


def test_a_teardown_of_nothing_removes_nothing(account: Any, names: SnowflakeSettings, objects: Objects) -> None:
    tear_down(account, names, plan_teardown(account, names, objects), _ignore)
    assert account.changes == []


def test_what_settings_leave_out_is_not_made_but_still_removed(account: Any, objects: Objects) -> None:
    bare = SnowflakeSettings(allowed_hosts=(), credit_quota=0, tag="")
    set_up(account, bare, objects_of(bare), _ignore)
    for kind in ("NETWORK RULE", "EXTERNAL ACCESS INTEGRATION", "API INTEGRATION", "GIT REPOSITORY", "TAG"):
        assert account.names(kind) == set(), kind
    assert account.names("RESOURCE MONITOR") == set()
    assert "RESOURCE_MONITOR" not in " ".join(account.ran)
    full = SnowflakeSettings(git_url="https://git.example/boards/copperline")
    set_up(account, full, objects_of(full), _ignore)
    tear_down(account, bare, plan_teardown(account, bare, objects_of(bare)), _ignore)
    # The bare role's comment does not vouch for the monitor: it stays, and status says why.
    assert set(account.objects) == {("RESOURCE MONITOR", "PCB_CV_MONITOR")}


def test_a_lesser_role_is_told_what_it_cannot_see(account: Any, names: SnowflakeSettings, objects: Objects) -> None:
    account.may_act_as = {"PUBLIC"}
    assert become_what_sees_most(account, names) == "PUBLIC"
    states = _states(look(account, names, objects))
    assert set(states.values()) == {State.HIDDEN}
    account.may_act_as.add("PCB_CV_ROLE")
    assert become_what_sees_most(account, names) == "PCB_CV_ROLE"
    account.may_act_as.add("ACCOUNTADMIN")
    assert become_what_sees_most(account, names) == "ACCOUNTADMIN"


def test_what_may_not_be_listed_is_not_visible(account: Any, names: SnowflakeSettings, objects: Objects) -> None:
    account.role = "ACCOUNTADMIN"
    account.refuse["SHOW RESOURCE MONITORS"] = errors.ProgrammingError("Insufficient privileges", errno=3001)
    assert _states(look(account, names, objects))["resource monitor PCB_CV_MONITOR"] is State.HIDDEN


def test_a_cut_connection_is_no_missing_role(account: Any, names: SnowflakeSettings) -> None:
    account.refuse["USE ROLE"] = errors.OperationalError("Connection aborted", errno=250003)
    with pytest.raises(SnowflakeError, match="cannot be reached"):
        become_what_sees_most(account, names)


def test_a_cut_connection_is_no_missing_object(account: Any, names: SnowflakeSettings, objects: Objects) -> None:
    account.role = "ACCOUNTADMIN"
    account.refuse["SHOW WAREHOUSES"] = errors.OperationalError("Connection aborted", errno=250003)
    with pytest.raises(SnowflakeError, match="cannot be reached"):
        look(account, names, objects)


def test_a_mistake_of_our_own_is_not_hidden(account: Any, names: SnowflakeSettings, objects: Objects) -> None:
    account.refuse["CREATE WAREHOUSE"] = KeyError("a bug")
    with pytest.raises(KeyError):
        set_up(account, names, objects, _ignore)
