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
        here = "in the workspace"
        warehouse = f"SQLite {here}" if self.settings.warehouse_url is None else place(self.settings.warehouse_url)
        registry = f"MLflow {here}" if self.settings.registry_uri is None else "MLflow, as the settings say"
        if self.in_snowflake:
            schema = f"{names.database}.{names.schema_name}"
            warehouse = schema if self.settings.warehouse_url == _IN_SNOWFLAKE["warehouse_url"] else warehouse
            registry = schema if self.settings.registry_uri == _IN_SNOWFLAKE["registry_uri"] else registry
        return Table(
            ("here", ""),
            (
                ("runs", "in Snowflake" if self.in_snowflake else "on this machine, without an account"),
                ("cores", str(self.settings.cores)),
                ("warehouse", warehouse),
                ("registry", registry),
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
