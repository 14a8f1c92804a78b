"""What former deployments left on the stage: whole or half-sent, and which of it app and notebook are of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from copperline.snowflake.releases import describe_notebook, describe_streamlit, release_of
from copperline.snowflake_settings import SnowflakeSettings
from copperline.stage import StagePath
from copperline.stage.folders import folder_states
from copperline.workflows.snowflake_deployment.release import Kind
from copperline.workflows.snowflake_deployment.steps import described

if TYPE_CHECKING:
    from snowflake.snowpark import Session


@dataclass(frozen=True, slots=True)
class DeployedRelease:
    """A folder of the stage.

    Attributes:
        kind, name: of the release.
        complete: all of its files are there; else a deployment was cut, and the next one goes on.
        files, size: of those that are there; bytes.
        runs: app or notebook is of this release.
    """

    kind: Kind
    name: str
    complete: bool
    files: int
    size: int
    runs: bool


def deployed_releases(session: Session, names: SnowflakeSettings) -> list[DeployedRelease]:
    """All that are on the stage, by kind and name; raises SnowflakeError or StageError."""
    asked: tuple[tuple[Kind, str], ...] = (("app", describe_streamlit(names)), ("notebook", describe_notebook(names)))
    found = []
    for kind, statement in asked:
        row = described(session, statement)
        running = None if row is None else release_of(row.get("comment"))
        place = StagePath.of_settings(names, kind)
        for state in folder_states(session, place):
            name = state.place.name
            found.append(DeployedRelease(kind, name, state.complete, state.files, state.size, name == running))
    return found
