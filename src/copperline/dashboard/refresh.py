"""How often a page looks again by itself: often while boards arrive, seldom else."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine

from copperline.warehouse import newest_inspection

AUTOMATIC = "automatic"
CHOICES: dict[str, int | None] = {
    AUTOMATIC: None,
    "off": None,
    "every 10 seconds": 10,
    "every 30 seconds": 30,
    "every minute": 60,
    "every 5 minutes": 300,
}
# The line is live while its newest board is younger than this.
LIVE_WITHIN = timedelta(minutes=5)
LIVE_SECONDS, QUIET_SECONDS = 10, 60
HELP = (
    f"Automatic: every {LIVE_SECONDS} seconds while the newest board is younger than "
    f"{LIVE_WITHIN // timedelta(minutes=1)} minutes, else every minute."
)


def seconds_of(choice: str, engine: Engine, now: datetime) -> int | None:
    """Seconds until the page looks again; None: it does not."""
    if choice != AUTOMATIC:
        return CHOICES[choice]
    newest = newest_inspection(engine, now=now)
    return LIVE_SECONDS if newest is not None and now - newest < LIVE_WITHIN else QUIET_SECONDS
