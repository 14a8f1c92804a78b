"""One store for all starts of the workers, as torch's elastic agent keeps it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from copperline.training import meeting


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> TCPStore:
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(store.port))
    return store


def test_each_start_has_a_store_of_its_own_whatever_the_one_before_left(agent: TCPStore) -> None:
    seen = []
    for start in range(3):
        # The others come first, and find the name of the start before.
        with ThreadPoolExecutor(3) as pool:
            others = [pool.submit(meeting.agent_store, rank, 3, 30.0) for rank in (1, 2)]
            main = pool.submit(meeting.agent_store, 0, 3, 30.0)
            stores = [future.result(60) for future in (main, *others)]
        assert not any(store.check(["who"]) for store in stores)
        stores[0].set("who", str(start))
        seen.append([store.get("who") for store in stores])
    assert seen == [[b"0"] * 3, [b"1"] * 3, [b"2"] * 3]


def test_a_start_that_died_half_way_does_not_mislead_the_next(agent: TCPStore) -> None:
    agent.set("copperline-start", "copperline-dead")
    agent.set("copperline-dead/1", "somebody dead")
    agent.set("copperline-dead/all", '["somebody dead"]')
    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(meeting.agent_store, 1, 2, 30.0)
        main = pool.submit(meeting.agent_store, 0, 2, 30.0)
        main.result(60).set("who", "new")
        assert other.result(60).get("who") == b"new"


@pytest.mark.parametrize("rank", [0, 1])
def test_a_worker_does_not_wait_for_ever(agent: TCPStore, rank: int) -> None:
    with pytest.raises(RuntimeError):
        meeting.agent_store(rank, 2, 0.3)
