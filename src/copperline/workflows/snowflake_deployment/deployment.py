"""What goes into the account, in which order, and what came of it.

Files go to a folder on the stage that is named by their content, so a second deployment finds them there and sends
nothing; one that was cut goes on. The app is changed only when all its files are on the stage.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from copperline.data import BoardDataset, open_dataset
from copperline.errors import SettingsError
from copperline.registry import BUILTIN, CHAMPION, DEFAULT_BUILTIN, Registry
from copperline.settings import Settings
from copperline.snowflake import create_notebook, create_streamlit, open_notebook, open_streamlit, share_streamlit
from copperline.snowflake.apps import allow_notebook
from copperline.snowflake.own_wheel import own_wheel
from copperline.snowflake.releases import mark_notebook, mark_streamlit
from copperline.workflows.snowflake_deployment.app_folder import EXTRAS, MAIN_FILE, app_release
from copperline.workflows.snowflake_deployment.notebook_folder import NOTEBOOK_EXTRAS, notebook_file, notebook_release
from copperline.workflows.snowflake_deployment.parts import PARTS, Deployed, Part
from copperline.workflows.snowflake_deployment.release import Release
from copperline.workspace import Workspace

if TYPE_CHECKING:
    from snowflake.snowpark import Session


@dataclass(frozen=True)
class Deployment:
    """What is to go into the account; None: not this time.

    Attributes:
        settings: their table `snowflake` names the objects.
        boards: labelled boards for the table `pcb_labeled_data`.
        model: version of the local registry, or `builtin:NAME`, that becomes the account's champion.
        notebook: its folder.
        notebook_file: the .ipynb in it.
        app: its folder.
    """

    settings: Settings
    boards: BoardDataset | None
    model: str | None
    notebook: Release | None
    notebook_file: str
    app: Release | None

    @property
    def releases(self) -> tuple[Release, ...]:
        """The folders that go to the stage."""
        return tuple(release for release in (self.notebook, self.app) if release is not None)


def planned(
    settings: Settings,
    parts: Collection[Part] = PARTS,
    *,
    data: Path | None = None,
    model: str | None = None,
    notebook: Path | None = None,
) -> Deployment:
    """Reads and checks all that is to go into the account, without touching it.

    Args:
        settings: of this machine.
        parts: of PARTS; the data only if there are any.
        data: a data set in DeepPCB's, YOLO's or COCO's layout, or the name of one in the workspace.
        model: default: the champion, else the shipped model that stands in for it.
        notebook: an .ipynb; default: the one that belongs to this Copperline.

    Raises:
        SettingsError: Copperline is not installed as a deployment needs it, or `data` without the part of that name.
        DataError: the data set or a file cannot be read.
        ModelError: the registry cannot be read.
    """
    if data is not None and "data" not in parts:
        raise SettingsError("expected the part data where there is a data set, found others", fix="add --only data")
    if data is None and set(parts) == {"data"}:
        raise SettingsError("expected labelled boards to load, found none", fix="name them: --data PATH")
    needs_wheel = "app" in parts or "notebook" in parts
    wheel = own_wheel({*EXTRAS, *NOTEBOOK_EXTRAS}) if needs_wheel else None
    file = notebook_file(notebook) if "notebook" in parts else None
    return Deployment(
        settings,
        boards=None if data is None else open_dataset(Workspace(settings).dataset(data))[0],
        model=(model or _champion(settings)) if "model" in parts else None,
        notebook=None if wheel is None or file is None else notebook_release(settings, wheel, file),
        notebook_file="" if file is None else file.name,
        app=None if wheel is None or "app" not in parts else app_release(settings, wheel),
    )


def planned_statements(deployment: Deployment) -> Iterator[tuple[str, str]]:
    """(what for, SQL) of an account that has none of it yet; files, rows and the model go there through libraries."""
    names = deployment.settings.snowflake
    if deployment.notebook is not None:
        yield (
            "the notebook, if it is missing; one that people work with stays as it is",
            create_notebook(names, deployment.notebook.folder, deployment.notebook_file),
        )
        yield "its version that runs", open_notebook(names)
        allowed = allow_notebook(names)
        if allowed is not None:
            yield "what it may reach outside the account", allowed
        yield "which release it was made from", mark_notebook(names, deployment.notebook.name)
    if deployment.app is not None:
        yield "the dashboard, if it is missing", create_streamlit(names, deployment.app.folder, MAIN_FILE)
        yield "its version that viewers see", open_streamlit(names)
        yield "which release it is of", mark_streamlit(names, deployment.app.name)
        yield "who may look at it", share_streamlit(names)


def deploy(session: Session, deployment: Deployment) -> Iterator[Deployed]:
    """Does it, part by part; what came of each is told when it is done. A repeat changes nothing.

    Raises:
        SnowflakeError: the account refuses, or an object of that name is none of Copperline's.
        StageError, WarehouseError, ModelError: a part of it cannot be read or written. The parts before stay.
    """
    from copperline.workflows.snowflake_deployment import steps

    settings = deployment.settings
    if deployment.boards is not None:
        yield steps.load_boards(session, deployment.boards)
    if deployment.model is not None:
        yield steps.register_model(session, settings, deployment.model)
    if deployment.notebook is not None:
        yield steps.install_notebook(session, settings.snowflake, deployment.notebook, deployment.notebook_file)
    if deployment.app is not None:
        yield steps.install_app(session, settings.snowflake, deployment.app)


def _champion(settings: Settings) -> str:
    local = settings.model_copy(update={"registry_uri": None}) if settings.registry_on_snowflake else settings
    registered = any(CHAMPION in version.aliases for version in Registry(local).versions())
    return CHAMPION if registered else f"{BUILTIN}{DEFAULT_BUILTIN}"
