"""The parts of a deployment, each done in an account: repeatable, and finished by the next run after a cut."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, func, select

from copperline.data import BoardDataset
from copperline.errors import SnowflakeError
from copperline.inspection.snowflake_push import push_model, registry_in_account
from copperline.progress import progress
from copperline.registry import CHAMPION
from copperline.settings import Settings
from copperline.snowflake import create_notebook, create_streamlit, open_notebook, open_streamlit, share_streamlit
from copperline.snowflake.apps import allow_notebook
from copperline.snowflake.failures import is_missing, snowflake_errors
from copperline.snowflake.marks import is_marked
from copperline.snowflake.releases import (
    copy_into_live,
    describe_notebook,
    describe_streamlit,
    fit_streamlit,
    mark_notebook,
    mark_streamlit,
    release_of,
    restart_streamlit,
)
from copperline.snowflake_settings import SnowflakeSettings
from copperline.stage import StagePath
from copperline.stage.folders import Transfer, upload_folder
from copperline.warehouse import LabeledBoard, open_warehouse_of, read_transaction, write_labeled_boards
from copperline.warehouse.tables import pcb_labeled_data
from copperline.workflows.importing import labeled_boards
from copperline.workflows.snowflake_deployment.app_folder import MAIN_FILE
from copperline.workflows.snowflake_deployment.parts import Deployed
from copperline.workflows.snowflake_deployment.release import Release

if TYPE_CHECKING:
    from snowflake.snowpark import Session

# Snowflake's words and number for ADD LIVE VERSION where there is one.
_LIVE_ALREADY = (99106, "already a live version")
Row = dict[str, Any]


def load_boards(session: Session, boards: BoardDataset) -> Deployed:
    """The boards into `pcb_labeled_data`; those that are there as they are now are not sent again."""
    engine = open_warehouse_of(session)
    try:
        there = _labeled_there(engine)
        with progress("Writing pcb_labeled_data") as report:
            new = (board for board in labeled_boards(boards, report) if there.get(board.filename) != _content(board))
            written = write_labeled_boards(engine, new)
    finally:
        engine.dispose()
    said = f"{written:,} of {len(boards):,} labelled boards were written to pcb_labeled_data, the others were there."
    return Deployed("data", written > 0, 0, said)


def register_model(session: Session, settings: Settings, model: str) -> Deployed:
    """The model becomes the account's champion; the same file is not registered twice."""
    before = registry_in_account(settings, session).versions()
    version = push_model(session, settings, model, alias=CHAMPION)
    changed = not any(old.version == version.version and CHAMPION in old.aliases for old in before)
    name = settings.snowflake.model
    return Deployed("model", changed, 0, f"{model} is version {version.version} of {name} and its champion.")


def install_notebook(session: Session, names: SnowflakeSettings, release: Release, file: str) -> Deployed:
    """The notebook, if there is none yet: one that people work with stays as it is."""
    sent = send(session, names, release)
    row = described(session, describe_notebook(names))
    if row is not None:
        require_ours(row, f"notebook {names.notebook}")
    made_from = None if row is None else release_of(row.get("comment"))
    if made_from is None:  # there is none, or a former run was cut before it was finished
        run(session, create_notebook(names, release.folder, file), names.notebook)
        make_live(session, open_notebook(names), names.notebook)
        allowed = allow_notebook(names)
        if allowed is not None:
            run(session, allowed, names.notebook)
        run(session, mark_notebook(names, release.name), names.notebook)
        said = f"The notebook {names.notebook} was made."
    elif made_from == release.name:
        said = f"The notebook {names.notebook} is there."
    else:
        place = f"@{names.stage}/{release.folder}"
        said = f"The notebook {names.notebook} stays as it is; the new one lies in {place}: drop it to get that."
    return Deployed("notebook", made_from is None or sent.moved > 0, sent.moved, said)


def install_app(session: Session, names: SnowflakeSettings, release: Release) -> Deployed:
    """The app of this release: made if there is none, else brought up to date and started again."""
    sent = send(session, names, release)
    row = described(session, describe_streamlit(names))
    made = row is None
    if row is None:
        run(session, create_streamlit(names, release.folder, MAIN_FILE), names.streamlit)
        row = described(session, describe_streamlit(names))
        if row is None:
            raise SnowflakeError(
                "expected the app that was just made, found none that this role can see",
                where=names.streamlit,
                fix="another role has an app of that name: drop it, or set streamlit in [snowflake] to another name",
            )
    require_ours(row, f"Streamlit app {names.streamlit}")
    if not row.get("live_version_location_uri"):
        make_live(session, open_streamlit(names), names.streamlit)
    changed = release_of(row.get("comment")) != release.name
    if changed and not made:
        _update(session, names, release)
    if changed:
        run(session, mark_streamlit(names, release.name), names.streamlit)
    run(session, share_streamlit(names), names.streamlit)
    words = "was made" if made else "was brought up to date" if changed else "is up to date"
    said = f"The dashboard {names.streamlit} {words}, release {release.name}."
    return Deployed("app", changed or sent.moved > 0, sent.moved, said)


def send(session: Session, names: SnowflakeSettings, release: Release) -> Transfer:
    """The release's files to its folder on the stage; what is there already is not sent."""
    place = StagePath.of_settings(names, release.folder)
    with tempfile.TemporaryDirectory(prefix="copperline-") as folder, progress(f"Sending the {release.kind}") as report:
        release.write(Path(folder))
        return upload_folder(session, Path(folder), place, progress=report)


def described(session: Session, statement: str) -> Row | None:
    """The one row of DESCRIBE, by the names of its columns in small letters; None: there is no such object."""
    try:
        rows = run(session, statement)
    except SnowflakeError as error:
        if error.__cause__ is not None and is_missing(error.__cause__):
            return None
        raise
    return {str(name).lower(): value for name, value in rows[0].items()} if rows else None


def require_ours(row: Row, what: str) -> None:
    """Raises SnowflakeError unless the object's comment says that Copperline made it."""
    if not is_marked(row.get("comment")):
        raise SnowflakeError(
            "expected one that Copperline made, found another of that name",
            where=what,
            fix="drop or rename it, or set another name in [snowflake]; nothing of it was changed",
        )


def run(session: Session, statement: str, where: str | None = None) -> list[Row]:
    """The rows of one statement; raises SnowflakeError."""
    with snowflake_errors(where):
        return [row.as_dict() for row in session.sql(statement).collect()]


def make_live(session: Session, statement: str, where: str) -> None:
    """ADD LIVE VERSION, which fails where there is one already."""
    number, words = _LIVE_ALREADY
    try:
        run(session, statement, where)
    except SnowflakeError as error:
        if getattr(error.__cause__, "sql_error_code", None) != number and words not in str(error.__cause__):
            raise


def _labeled_there(engine: Engine) -> dict[str, tuple[object, ...]]:
    """File name -> what `_content` gives of the row; the server computes the checksums, and no image is fetched."""
    columns = pcb_labeled_data.c
    query = select(
        columns.filename, func.sha2(columns.image_bytes), func.sha2(columns.reference_bytes), columns.label_text,
        columns.split, columns.board_group,
    )  # fmt: skip
    with read_transaction(engine) as connection:
        return {row[0]: tuple(row[1:]) for row in connection.execute(query)}


def _content(board: LabeledBoard) -> tuple[object, ...]:
    """What two boards of one file name have to have in common to be the same."""
    reference = None if board.reference_bytes is None else hashlib.sha256(board.reference_bytes).hexdigest()
    image = hashlib.sha256(board.image_bytes).hexdigest()
    return image, reference, board.label_text, board.split, board.board_group


def _update(session: Session, names: SnowflakeSettings, release: Release) -> None:
    row = described(session, describe_streamlit(names)) or {}
    live = row.get("live_version_location_uri")
    if not live:
        raise SnowflakeError(
            "expected the place of the app's live version, found none",
            where=names.streamlit,
            fix="open the app once as its owner, and deploy again",
        )
    run(session, fit_streamlit(names), names.streamlit)
    run(session, copy_into_live(names, str(live), release.folder, release.sha256), names.streamlit)
    run(session, restart_streamlit(names), names.streamlit)
