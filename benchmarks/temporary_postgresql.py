"""A PostgreSQL server with an empty database, for as long as a measurement takes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError

FOLDER = Path("/usr/lib/postgresql")


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`; None: they are not installed."""
    found = shutil.which("initdb") or max(map(str, FOLDER.glob("*/bin/initdb")), default=None)
    return None if found is None else Path(found).parent


@contextmanager
def temporary_postgresql(binaries: Path) -> Iterator[str]:
    """The URL of an empty database, on a server with its default settings that listens on a socket alone."""
    # The path of a socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="copperline-pg-", dir="/tmp"))
    url = f"postgresql+pg8000://copperline@/postgres?unix_sock={folder / '.s.PGSQL.5432'}"
    how: dict[str, Any] = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    how["env"] = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    if os.geteuid() == 0:  # the server refuses to run as root
        how |= {"user": "nobody", "group": "nogroup", "extra_groups": []}
        shutil.chown(folder, "nobody", "nogroup")
    try:
        made = [binaries / "initdb", "-D", "data", "-U", "copperline", "-E", "UTF8", "--auth=trust"]
        subprocess.run(made, check=True, timeout=120, **how)
        command = [binaries / "postgres", "-D", "data", "-k", folder, "-c", "listen_addresses="]
        server = subprocess.Popen(command, **how)
        try:
            _wait(url)
            yield url
        finally:
            server.send_signal(signal.SIGINT)  # it does not wait for its clients
            server.wait(timeout=60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(url: str) -> None:
    engine = create_engine(url)
    for _ in range(300):
        try:
            engine.connect().close()
        except DBAPIError:
            time.sleep(0.1)
        else:
            engine.dispose()
            return
    raise SystemExit("PostgreSQL did not start within 30 s")
