"""Where the notebook runs: on a machine of one's own, or inside Snowflake. The cells are the same."""

from __future__ import annotations

from dataclasses import dataclass

from copperline.settings import Settings
from copperline.snowflake.session import active_session
from copperline.warehouse import place
from copperline.workflows.notebook.output import Table
from copperline.workflows.notebook.parameters import Parameters

# What the settings are there that a person left open.
_IN_SNOWFLAKE = {"warehouse_url": "snowflake://", "registry_uri": "snowflake"}


@dataclass(frozen=True)
class Place:
    """What is here.

    Attributes:
        in_snowflake: this runs in a session of Snowflake: in a notebook or job there.
        settings: with the warehouse and the registry of this place.
    """

    in_snowflake: bool
    settings: Settings

    def table(self) -> Table:
        """For people; without paths of this machine, and without secrets."""
        names = self.settings.snowflake
        account = f"{names.database}.{names.schema_name} in Snowflake"
        url, registry = self.settings.warehouse_url, self.settings.registry_uri
        if url is None or url.startswith("sqlite"):
            warehouse = "SQLite in the workspace" if url is None else "SQLite, as the settings say"
        else:
            warehouse = account if url == _IN_SNOWFLAKE["warehouse_url"] else place(url)
        mlflow = "MLflow in the workspace" if registry is None else "MLflow, as the settings say"
        return Table(
            ("here", ""),
            (
                ("runs", "in Snowflake" if self.in_snowflake else "on this machine, without an account"),
                ("cores", str(self.settings.cores)),
                ("warehouse", warehouse),
                ("registry", account if self.settings.registry_on_snowflake else mlflow),
                ("defect classes", ", ".join(self.settings.taxonomy.names)),
            ),
        )

    def next_steps(self) -> str:
        """What a person can do after the last cell."""
        if self.in_snowflake:
            app = self.settings.snowflake.streamlit
            return f"The dashboard: Projects > Streamlit > {app}. It shows the boards that were just inspected."
        default = self.settings.workspace == Settings.model_fields["workspace"].default
        where = "" if default else " --workspace WORKSPACE"
        return (
            f"The dashboard: run `copperline dashboard{where}` in a terminal, in the folder of this notebook, and open "
            "http://localhost:8501. It shows the boards that were just inspected."
        )


def find_place(parameters: Parameters) -> Place:
    """Looks whether there is an active session of Snowflake; everything else follows from the settings.

    Inside Snowflake the warehouse is the account's and the registry is its model registry, unless the settings name
    others. The workspace is a folder of the machine that this runs on, in both.

    Raises:
        SettingsError: a setting has a value that cannot be used.
    """
    settings = Settings.load(parameters.workspace)
    if active_session() is None:
        return Place(False, settings)
    left_open = {name: value for name, value in _IN_SNOWFLAKE.items() if getattr(settings, name) is None}
    return Place(True, settings.model_copy(update=left_open))
