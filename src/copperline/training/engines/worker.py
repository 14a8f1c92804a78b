"""A worker on this machine: `LocalWorkers` starts `python -m copperline.training.engines.worker ORDER REPORTS`."""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from pathlib import Path

from copperline.training.checkpoint import Checkpoint
from copperline.training.distributed import join_world
from copperline.training.engines.local import WorkerOrder
from copperline.training.engines.reports import CheckpointKept, Failed, Met, ReportingListener, ReportWriter, Send
from copperline.training.engines.stopping import end_without


def work(order: WorkerOrder, send: Send) -> None:
    """Trains as one of the workers that the environment names."""
    checkpoint = Checkpoint.load(order.folder) if order.resume else None

    def save(checkpoint: Checkpoint) -> None:
        checkpoint.save(order.folder)
        send(CheckpointKept(checkpoint.epoch, checkpoint.step))

    with join_world(order.device_name, timeout_s=order.timeout_s) as world:
        if world.is_main:
            send(Met(world.size))
        order.job.carry_out(
            order.folder,
            world,
            threads=order.threads,
            resume=checkpoint,
            listeners=[ReportingListener(send)],
            save=save,
        )


def main() -> int:
    order: WorkerOrder = pickle.loads(Path(sys.argv[1]).read_bytes())
    send = ReportWriter(Path(sys.argv[2]))
    end_without(order.parent)
    try:
        work(order, send)
    except Exception as error:  # noqa: BLE001  told to the command, which decides
        traceback.print_exc()
        send(Failed.of(int(os.environ["RANK"]), error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
