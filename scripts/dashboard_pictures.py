"""Takes docs/images/dashboard/*.png: each page, light and dark, over a small plant of drawn boards.

    python scripts/dashboard_pictures.py

Boards are drawn and really inspected (scripts/demo_plant.py); DeepPCB's images stay out of the repository. Needs the
extra `dashboard`, Playwright and Debian's chromium.
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from copperline.dashboard.launch import FIRST_PORT, Server, running
from copperline.local_server import free_port
from copperline.settings import Settings
from demo_plant import fill

TARGET = Path(__file__).parents[1] / "docs" / "images" / "dashboard"
BROWSER_OPTIONS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
WIDTH = 1500
# Page -> its address and how much of it is shown, px.
PAGES = {
    "overview": ("?period=All+time", 1750),
    "vision-lab": ("vision-lab?source=Synthetic+board", 1500),
    "review": ("review", 1300),
    "process-control": ("process-control?point=day&each=whole+plant", 1250),
    "models": ("models", 1500),
    "about": ("about?part=Architecture", 1400),
    "board": ("board?board={board}", 1300),
}
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
# A page has been drawn when nothing runs and nothing is a placeholder any more.
DRAWN = """() => !document.querySelector('[data-testid="stStatusWidget"]')
    && document.querySelectorAll('[data-testid="stSkeleton"]').length === 0"""
COLOURS = 256


def take(browser: Browser, address: str, height: int, scheme: Scheme, file: Path) -> None:
    """One picture, in few colours: a page is flat, and the repository keeps every version."""
    page: Page = browser.new_page(viewport={"width": WIDTH, "height": height}, color_scheme=scheme)
    page.goto(address)
    page.wait_for_selector('[data-testid="stMainBlockContainer"]')
    for _ in range(3):  # charts and pictures come after the page says that it is done
        page.wait_for_function(DRAWN, timeout=60_000)
        time.sleep(1.5)
    page.screenshot(path=file)
    page.close()
    with Image.open(file) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)


def _a_board(settings: Settings) -> str:
    with closing(sqlite3.connect(settings.workspace / "warehouse.db")) as database:
        query = (
            "SELECT board_id FROM board_states WHERE call = 'FAIL' AND verdict = 'BAD' ORDER BY defects DESC, board_id"
        )
        return str(database.execute(query).fetchone()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PAGES, action="append", help="this page; repeatable")
    parser.add_argument("--boards", type=int, default=600)
    parser.add_argument("--workspace", type=Path, help="filled by an earlier run")
    arguments = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("expected the program chromium; on Debian: apt install chromium")
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        settings = Settings.load(arguments.workspace or Path(temporary))
        fill(settings, arguments.boards)
        browser = playwright.chromium.launch(executable_path=chromium, args=list(BROWSER_OPTIONS))
        with running(settings, Server(port=free_port(FIRST_PORT), open_browser=False)) as address:
            for name in arguments.only or PAGES:
                path, height = PAGES[name]
                for scheme in SCHEMES:
                    file = TARGET / f"{name}-{scheme}.png"
                    take(browser, address + path.format(board=_a_board(settings)), height, scheme, file)
                    print(f"{file.relative_to(TARGET.parents[2])}: {file.stat().st_size / 1024:.0f} KiB")
        browser.close()


if __name__ == "__main__":
    main()
