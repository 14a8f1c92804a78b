"""The process that serves the dashboard: Streamlit, with everything imported before the first visitor comes.

Imports take seconds; done at the first visit, they would be the first visitor's to wait for.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import pkgutil
import sys
from datetime import UTC

from copperline.dashboard.overview_data import read_overview
from copperline.errors import CopperlineError
from copperline.mlflow_store import import_quietly
from copperline.registry import open_registry
from copperline.settings import Settings
from copperline.warehouse import BoardFilter, list_boards, open_warehouse


def main() -> None:
    """`python -m copperline.dashboard.server run ...`, with the arguments of `streamlit`."""
    preload()
    open_stores(Settings.load())
    from streamlit.web.cli import main as streamlit

    sys.argv[0] = "streamlit"
    streamlit()


def preload() -> None:
    """Imports every page, and draws a chart once: Plotly reads its schema at the first one."""
    import plotly.graph_objects as go
    import plotly.io

    # Every chart has the dashboard's template; Plotly's own would be copied into each before.
    plotly.io.templates.default = None
    from copperline.dashboard import pages

    # Streamlit does so at its first element; the first time it looks at every module's file.
    inspect.stack()
    # Not in a thread beside the first visitor: it would take turns with what they wait for.
    import_quietly()
    for page in pkgutil.iter_modules(pages.__path__, f"{pages.__name__}."):
        importlib.import_module(page.name)
    go.Figure([go.Bar(x=[1], y=[1]), go.Scatter(x=[1], y=[1])]).to_json()


def open_stores(settings: Settings) -> None:
    """Reads registry and overview once: what is compiled and cached then is not the first visitor's to wait for.

    A store that cannot be read is the pages' to tell of.
    """
    with contextlib.suppress(CopperlineError):
        open_registry(settings).versions()
    with contextlib.suppress(CopperlineError):
        engine = open_warehouse(settings.warehouse, read_only=True)
        read_overview(engine, BoardFilter(), settings.taxonomy.names, UTC)
        list_boards(engine, BoardFilter(), with_defects=True, limit=1)
        engine.dispose()


if __name__ == "__main__":
    main()
