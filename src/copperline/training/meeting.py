"""How the workers that torchrun starts again find each other, and not those that are dead.

torch's elastic agent keeps one key-value store for all starts of its workers, with what the workers before have written
there: gloo would try to reach them until its time is up. So all workers of a start agree on a name for it first.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from datetime import timedelta

from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

LOOK_EVERY_S = 0.05


def agent_store(rank: int, size: int, timeout_s: float) -> Store:
    """The store of the agent that started this worker, below a name that is of this start alone.

    Args:
        rank, size: global.
        timeout_s: how long to wait for all workers.

    Raises:
        RuntimeError: they did not come in time.
    """
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(address, port, size, is_master=False, timeout=timedelta(seconds=timeout_s))
    name = _propose(store, size) if rank == 0 else _accept(store, rank, timeout_s)
    return PrefixStore(name, store)


def kept_by_agent() -> bool:
    """Whether there is such a store."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == str(True)


def _propose(store: Store, size: int) -> str:
    """The main worker gives the name, and lists who has answered to it."""
    name = f"copperline-{uuid.uuid4().hex}"
    store.set("copperline-start", name)
    store.set(f"{name}/all", json.dumps([store.get(f"{name}/{rank}").decode() for rank in range(1, size)]))
    return name


def _accept(store: Store, rank: int, timeout_s: float) -> str:
    """The others answer to the latest name: one whose main worker is dead never lists them."""
    me = uuid.uuid4().hex
    answered = ""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        name = store.get("copperline-start").decode()
        if name != answered:
            store.set(f"{name}/{rank}", me)
            answered = name
        if store.check([f"{name}/all"]) and me in json.loads(store.get(f"{name}/all")):
            return name
        time.sleep(LOOK_EVERY_S)
    raise RuntimeError("the main worker did not answer")
