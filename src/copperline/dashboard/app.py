"""What every visitor gets: who they are, which page, and how errors are shown."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from copperline.dashboard import links, session
from copperline.dashboard.failures import show_failure
from copperline.errors import CopperlineError, SettingsError


@dataclass(frozen=True, slots=True)
class PageEntry:
    """A page of the dashboard: module in `pages`, title, Material icon, and whether the menu has it."""

    module: str
    title: str
    icon: str
    in_menu: bool = True

    @property
    def url_path(self) -> str:
        return self.module.replace("_", "-")


PAGES = (
    PageEntry("overview", "Executive Overview", ":material/monitoring:"),
    PageEntry("vision_lab", "Vision Lab", ":material/biotech:"),
    PageEntry("review", "Review", ":material/rule:"),
    PageEntry("process_control", "Process Control", ":material/show_chart:"),
    PageEntry("models", "Models", ":material/deployed_code:"),
    PageEntry("about", "About", ":material/info:"),
    PageEntry("board", "Board", ":material/memory:", in_menu=False),
)


def main() -> None:
    """Run by `script/main.py` at every visit and every click."""
    st.set_page_config(page_title="Copperline", page_icon=":material/memory:", layout="wide")
    try:
        _main()
    except CopperlineError as error:
        show_failure(error)


def _main() -> None:
    if not session.signed_in():
        # Under every page's address, or Streamlit would say that the page does not exist.
        st.navigation([_navigable(entry, session.sign_in_page) for entry in PAGES], position="hidden").run()
        return
    pages = {entry.module: _navigable(entry, _guarded(entry)) for entry in PAGES}
    links.remember(pages)
    chosen = st.navigation(list(pages.values()))
    with st.sidebar:
        session.who_is_here()
    chosen.run()


def _navigable(entry: PageEntry, run: Callable[[], None]) -> st.Page:
    return st.Page(
        run,
        title=entry.title,
        icon=entry.icon,
        url_path=entry.url_path,
        default=entry is PAGES[0],
        visibility="visible" if entry.in_menu else "hidden",
    )


def _guarded(entry: PageEntry) -> Callable[[], None]:
    """The page's function. Its module is imported when it is first shown, so that the first page opens at once."""

    def run() -> None:
        st.title(entry.title)
        try:
            importlib.import_module(f"copperline.dashboard.pages.{entry.module}").page()
        except CopperlineError as error:
            show_failure(error)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] == "copperline":
                raise
            # Such as ONNX Runtime where there is no build of it: the other pages need none.
            show_failure(
                SettingsError(
                    f"this page needs {error.name}, which is not installed here",
                    fix=f"add {error.name} to the packages of this server; the other pages work without",
                )
            )

    return run
