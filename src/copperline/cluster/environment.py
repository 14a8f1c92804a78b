"""Variables of the environment and messages on the terminal, for as long as a block runs: Ray has no other switches."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def variables(wanted: Mapping[str, str | None], *, replace: bool = False) -> Iterator[None]:
    """Variables of this process and its children while the block runs; afterwards they are as before.

    Args:
        wanted: None: it may be set in the block, and is taken back too.
        replace: also what is set already; else what the user has set is left as it is.
    """
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(
        {name: value for name, value in wanted.items() if value is not None and (replace or before[name] is None)}
    )
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def raylet_messages_to(log: Path | None) -> Iterator[None]:
    """What Ray would print about nodes and processes that died goes to a file while the block runs, or nowhere.

    Its own logs have it too.
    """
    from ray._private import worker

    printed = worker.print_to_stdstream

    def write(data: dict[str, Any], *_: object, **__: object) -> None:
        if log is not None:
            with log.open("a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in data["lines"])

    if log is not None:
        log.parent.mkdir(exist_ok=True)
    worker.print_to_stdstream = write
    try:
        yield
    finally:
        worker.print_to_stdstream = printed
