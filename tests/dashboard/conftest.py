"""A dashboard page in this process, on a workspace of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("streamlit")

import streamlit as st
from streamlit.testing.v1 import AppTest


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty; what the pages cache belongs to the last test's and is dropped."""
    folder = tmp_path / "workspace"
    monkeypatch.setenv("COPPERLINE_WORKSPACE", str(folder))
    monkeypatch.setenv("COPPERLINE_THREADS", "1")
    st.cache_data.clear()
    st.cache_resource.clear()
    return folder


@pytest.fixture
def open_page(workspace: Path) -> Callable[..., AppTest]:
    """Opens a page as the shell does, with what its address says: `open_page("vision_lab", source="Upload")`."""

    def page(module: str) -> None:
        import importlib

        from copperline.dashboard.failures import show_failure
        from copperline.errors import CopperlineError

        try:
            importlib.import_module(f"copperline.dashboard.pages.{module}").page()
        except CopperlineError as error:
            show_failure(error)

    def opened(module: str, **address: str) -> AppTest:
        app = AppTest.from_function(page, args=(module,), default_timeout=60)
        for name, value in address.items():
            app.query_params[name] = value
        return app.run()

    return opened
