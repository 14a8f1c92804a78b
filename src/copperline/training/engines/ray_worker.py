"""A worker on a Ray cluster: what Ray Train calls in each of its processes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from copperline.training.distributed import join_world
from copperline.training.engines.ray_channel import WorkerEnd, from_bytes
from copperline.training.engines.reports import Met, ReportingListener
from copperline.training.engines.shipping import Shipment, unpack


def work(order: dict[str, Any]) -> None:
    """Trains as one of the workers that Ray Train has brought together.

    Args:
        order: `shipment`; `channel`, a handle of its actor; `checkpoint`, a reference to the bytes to go on from, or
            None; `threads` of this worker; `on_gpu`; `timeout_s` of waits.
    """
    import ray
    from ray.train.torch import get_device

    shipment: Shipment = order["shipment"]
    end = WorkerEnd(order["channel"])
    job = unpack(shipment, order["timeout_s"])
    kept = order["checkpoint"]
    checkpoint = None if kept is None else from_bytes(ray.get(kept, timeout=order["timeout_s"]))
    device = str(get_device()) if order["on_gpu"] else "cpu"
    with tempfile.TemporaryDirectory() as folder, join_world(device, timeout_s=order["timeout_s"]) as world:
        if world.is_main:
            end.send(Met(world.size))
        job.carry_out(
            Path(folder),
            world,
            threads=order["threads"] * world.local_size,
            resume=checkpoint,
            listeners=[ReportingListener(end.send)],
            save=end.keep,
        )
        if world.is_main:
            end.flush()
