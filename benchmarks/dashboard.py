"""Times the dashboard's pages in a real browser over a plant's warehouse: cold opening, and answers to a filter change.

    python benchmarks/plant_history.py plant.db --boards 1000000
    python benchmarks/dashboard.py plant.db
    python benchmarks/dashboard.py plant.db --growth small.db     the same days with a tenth of the boards

Cold: a new server and its first visitor, until nothing runs and nothing is a placeholder; once in a browser that was
here before, as on every morning, and once in one that never was. Change: from the click on another line until the
script has run to its end. Needs Playwright and Debian's chromium, and a machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from datetime import UTC
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, sync_playwright

from copperline.dashboard.launch import FIRST_PORT, Server, running
from copperline.dashboard.overview_data import read_overview
from copperline.local_server import free_port
from copperline.settings import Settings
from copperline.warehouse import BoardFilter, extent, open_warehouse

PAGES = ("", "review", "process-control", "models", "vision-lab", "about", "board?board={board}")
FILTERED = ("", "review", "process-control")
PERIODS = ("Last 7 days", "Last 90 days", "All time")
REPEATS = 5
COLD_AIM, CHANGE_AIM = 2.0, 1.0
# Always the same: to a browser another port is another site, whose files it does not have yet.
COLD_PORT = free_port(8700)
BROWSER_OPTIONS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
DRAWN = """() => document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState === 'notRunning'
    && document.querySelector('[data-testid="stHeading"]')
    && document.querySelectorAll('[data-testid="stSkeleton"]').length === 0"""
# Notes when the script came to its end.
WATCH = """() => {
    const app = document.querySelector('[data-testid="stApp"]');
    window.ended = null; window.began = false;
    window.watcher?.disconnect();
    window.watcher = new MutationObserver(() => {
        const state = app.dataset.testScriptState;
        if (state === 'running') window.began = true;
        if (state === 'notRunning' && window.began) window.ended = performance.now();
    });
    window.watcher.observe(app, {attributes: true, attributeFilter: ['data-test-script-state']});
}"""


def new_server() -> Server:
    return Server(port=free_port(FIRST_PORT), open_browser=False)


def cold(context: BrowserContext, settings: Settings, path: str) -> float:
    """Seconds from asking for the page to all of it, of a new server's first visitor."""
    with running(settings, Server(port=COLD_PORT, open_browser=False)) as address:
        page = context.new_page()
        began = time.perf_counter()
        page.goto(address + path)
        page.wait_for_function(DRAWN, timeout=60_000)
        seconds = time.perf_counter() - began
        page.close()
    return seconds


def changes(page: Page, lines: tuple[str, ...]) -> list[float]:
    """Seconds from choosing a line to the end of the script, for a few lines one after the other."""
    found = []
    for line in [line for line in lines if line][:REPEATS]:
        page.get_by_test_id("stMultiSelect").filter(has_text="Line").locator("input").click()
        option = page.get_by_role("option", name=line, exact=True)
        option.wait_for()
        page.evaluate(WATCH)
        began = page.evaluate("performance.now()")
        option.click()
        page.wait_for_function("window.ended !== null", timeout=60_000)
        page.wait_for_function(DRAWN, timeout=60_000)
        found.append((page.evaluate("window.ended") - began) / 1000)
        page.keyboard.press("Escape")  # closes the list, which covers the others
        page.get_by_role("listbox").wait_for(state="detached")
    return found


def growth(database: Path, smaller: Path) -> None:
    """The overview's queries over the same hours with fewer boards, alternating, as a ratio of medians."""
    engines = [open_warehouse(f"sqlite:///{path.absolute()}", read_only=True) for path in (database, smaller)]
    times: tuple[list[float], list[float]] = ([], [])
    names = Settings.load().taxonomy.names
    for _ in range(3 * REPEATS):
        for engine, found in zip(engines, times, strict=True):
            began = time.perf_counter()
            read_overview(engine, BoardFilter(), names, UTC)
            found.append(time.perf_counter() - began)
    many, few = (statistics.median(found[1:]) for found in times)
    print(f"overview's queries, all time: {many:.3f} s against {few:.3f} s with fewer boards: ratio {many / few:.2f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("--growth", type=Path, help="another database of the same hours")
    arguments = parser.parse_args()
    if arguments.growth:
        growth(arguments.database, arguments.growth)
        return 0
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("expected the program chromium; on Debian: apt install chromium")
    missed = 0
    with tempfile.TemporaryDirectory() as workspace, sync_playwright() as playwright:
        os.environ["COPPERLINE_WAREHOUSE_URL"] = f"sqlite:///{arguments.database.absolute()}"
        settings = Settings.load(Path(workspace))
        engine = open_warehouse(settings.warehouse, read_only=True)
        lines = extent(engine).lines
        with engine.connect() as connection:
            board = connection.exec_driver_sql("SELECT max(board_id) FROM board_states").scalar_one()
        engine.dispose()
        browser = playwright.chromium.launch(executable_path=chromium, args=list(BROWSER_OPTIONS))
        here_before = playwright.chromium.launch_persistent_context(
            f"{workspace}/profile", executable_path=chromium, args=list(BROWSER_OPTIONS)
        )
        for path in PAGES:
            address = path.format(board=board)
            for _ in range(2):  # a browser keeps compiled scripts from the second visit on
                cold(here_before, settings, address)
            times = [cold(here_before, settings, address) for _ in range(3)]
            missed += _tell(f"{_name(path)}, cold", times, COLD_AIM)
            strangers = [browser.new_context() for _ in range(3)]
            _tell(
                f"{_name(path)}, cold, the browser's first visit", [cold(s, settings, address) for s in strangers], None
            )
        here_before.close()
        with running(settings, new_server()) as address:
            for path in FILTERED:
                for period in PERIODS:
                    page = browser.new_page()
                    page.goto(f"{address}{path}?period={period.replace(' ', '+')}")
                    page.wait_for_function(DRAWN, timeout=60_000)
                    missed += _tell(f"{_name(path)}, {period}, another line", changes(page, lines), CHANGE_AIM)
                    page.close()
        browser.close()
    return 1 if missed else 0


def _name(path: str) -> str:
    return path.partition("?")[0] or "overview"


def _tell(what: str, seconds: list[float], aim: float | None) -> int:
    """Prints the median; 1 if it misses the aim. None: a figure without an aim."""
    median = statistics.median(seconds)
    missed = aim is not None and median >= aim
    verdict, wanted = ("      ", "") if aim is None else ("MISSED" if missed else "met   ", f"aim < {aim:g}; ")
    print(f"{verdict} {what}: {median:.2f} s ({wanted}{min(seconds):.2f} - {max(seconds):.2f})", flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
