"""The process that serves the dashboard: Streamlit, with everything imported before the first visitor comes.

Imports take seconds; done at the first visit, they would be the first visitor's to wait for.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import threading

from copperline.mlflow_store import import_quietly


def main() -> None:
    """`python -m copperline.dashboard.server run ...`, with the arguments of `streamlit`."""
    preload()
    # Only the page Models needs it, and it takes as long as all the others together.
    threading.Thread(target=import_quietly, daemon=True, name="preload").start()
    from streamlit.web.cli import main as streamlit

    sys.argv[0] = "streamlit"
    streamlit()


def preload() -> None:
    """Imports every page, and draws a chart once: Plotly reads its schema at the first one."""
    import plotly.graph_objects as go

    from copperline.dashboard import pages

    for page in pkgutil.iter_modules(pages.__path__, f"{pages.__name__}."):
        importlib.import_module(page.name)
    go.Figure([go.Bar(x=[1], y=[1]), go.Scatter(x=[1], y=[1])]).to_json()


if __name__ == "__main__":
    main()
