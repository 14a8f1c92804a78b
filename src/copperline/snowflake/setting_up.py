"""Setup and teardown in an account: checked first, then statement by statement, up to the first that is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from copperline.errors import SnowflakeError
from copperline.snowflake.account import (
    Found,
    Run,
    State,
    become,
    look,
    require_family,
    require_ours,
    strangers,
)
from copperline.snowflake.failures import explained, is_missing, is_of_snowflake, lacks_privilege, words_of
from copperline.snowflake.objects import AccountObject
from copperline.snowflake.script import Step, setup_steps, teardown_steps
from copperline.snowflake_settings import SnowflakeSettings, quoted

Report = Callable[[int, int], None]


def set_up(run: Run, names: SnowflakeSettings, objects: Sequence[AccountObject], report: Report) -> list[Found]:
    """Makes what is missing. Started again, it goes on where it was; where all is there, nothing changes.

    Args:
        run: runs a statement in the account.
        names: of the objects.
        objects: from `account_objects`.
        report: is told how many statements of how many have run.

    Returns:
        What was found before anything was changed.

    Raises:
        SnowflakeError: an object of someone else has one of the names, the region has no such GPUs (in both cases
            nothing was changed), or a statement is refused: the message names the privilege that is missing.
    """
    become(run, names.admin_role)
    before = look(run, names, objects)
    require_ours([one for one in before if one.about.wanted or one.about.maker != "setup"])
    if any(one.about.kind == "COMPUTE POOL" and one.state is State.MISSING for one in before):
        require_family(run, names)
    _run_all(run, setup_steps(objects), report)
    return before


def plan_teardown(run: Run, names: SnowflakeSettings, objects: Sequence[AccountObject]) -> list[Found]:
    """What is found; those that are there are what `tear_down` would remove.

    Raises:
        SnowflakeError: somebody else has made something in the database, which would go with it.
    """
    become(run, names.admin_role)
    found = look(run, names, objects)
    if any(one.about.kind == "DATABASE" and one.state is State.THERE for one in found):
        others = strangers(run, names)
        if others:
            raise SnowflakeError(
                f"expected nothing but Copperline's own in the database, found {', '.join(others[:5])}"
                + (f" and {len(others) - 5} more" if len(others) > 5 else ""),
                where=f"database {names.database}",
                fix="move it elsewhere or drop it; nothing was removed",
            )
    return found


def tear_down(run: Run, names: SnowflakeSettings, found: Sequence[Found], report: Report) -> None:
    """Removes what is there and ours, last made first; a second start removes what a first one left.

    Raises:
        SnowflakeError: a statement is refused. What came before it is removed, the rest is there.
    """
    ours = [one.about for one in found if one.state is State.THERE]
    _run_all(run, teardown_steps(names, ours), report)


def _run_all(run: Run, steps: Sequence[Step], report: Report) -> None:
    for done, step in enumerate(steps):
        report(done, len(steps))
        try:
            run(step.statement.sql)
        except Exception as error:
            if not is_of_snowflake(error):
                raise
            raise refused(step, error) from error
    report(len(steps), len(steps))


def refused(step: Step, error: BaseException) -> SnowflakeError:
    """Which object, what for, and, where a privilege is missing, the GRANT that gives it."""
    where = f"role {step.role}" if step.about is None else str(step.about)
    if not (lacks_privilege(error) or is_missing(error)):
        told = explained(error)
        return SnowflakeError(f"{told.problem} (for this: {step.statement.why})", where=where, fix=told.fix)
    return SnowflakeError(
        f"{step.role} may not do this: {step.statement.why} ({words_of(error)})",
        where=where,
        fix=f"{_remedy(step)}; then start again, it goes on where it was",
    )


def _remedy(step: Step) -> str:
    needs = step.statement.needs
    if " ON " not in needs:
        return f"it needs {needs}" if needs else "see `copperline snowflake status`"
    if needs.startswith("OWNERSHIP"):
        return f"it needs {needs}: the role that owns it has to do it, or an administrator"
    return f"have it granted: GRANT {needs} TO ROLE {quoted(step.role)}"
