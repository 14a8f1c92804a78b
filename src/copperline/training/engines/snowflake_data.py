"""The boards of a run inside Snowflake: sharded rows of the table on their way to the disk of each node.

`ShardedDataConnector` gives each worker some of the rows. Training needs more: which crops a worker makes of a step
depends on how many workers there are, while the step's crops do not, so that any number of workers trains the same
model. So shards are the way of transport alone. Each worker reads its own from Snowflake, all exchange them in parts
of 16 MiB, and one worker of each node writes the images there, where the loop reads them as on any other machine.

A worker holds its own shard in memory, encoded, and the parts that are on their way; a node's disk holds all images.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from copperline.data import BoardPair
from copperline.data.rows import rows_of_frame, write_board_rows
from copperline.data.yolo import read_yolo
from copperline.errors import DataError
from copperline.labeled_board import TABLE, LabeledBoard
from copperline.training.distributed import World
from copperline.training.engines.node_folder import private_folder
from copperline.training.engines.snowflake_order import SnowflakeOrder, content_of

SPLITS_READ = ("train", "val")
"""Boards of the split `test` do not leave the table."""
PART_BYTES = 16 * 2**20

Pairs = Sequence[BoardPair]


def pairs_on_node(order: SnowflakeOrder, shards: Mapping[str, Any], world: World) -> tuple[Pairs, Pairs]:
    """The boards to train and to validate on, whose images are on this node when it returns.

    Args:
        shards: `dataset_map` of the distributor: for each of `SPLITS_READ` a sharded connector.

    Raises:
        DataError: rows are missing, came twice, or are not what the run was started with.
        TrainingError: another worker is lost.
    """
    mine = [row for split in SPLITS_READ if split in shards for row in _rows_of_shard(shards[split], split)]
    wanted = {*order.boards, *order.validation_boards}
    parts = list(_parts([row for row in mine if row.filename in wanted]))
    folder = private_folder() / f"{order.content}-{order.start}"
    received = (row for part in world.each_of_all(parts) for row in part)
    if world.local_rank == 0:
        shutil.rmtree(folder, ignore_errors=True)
        write_board_rows(received, folder, order.taxonomy)
    else:
        for _ in received:
            pass
    world.require_same(order.content, "boards")  # and waits until they are written
    dataset, _ = read_yolo(folder, order.taxonomy)
    return _in_order(order, dataset.pairs, folder)


def remove_from_node(order: SnowflakeOrder, world: World) -> None:
    """The node's images, when the run is over or is started again."""
    if world.local_rank == 0:
        shutil.rmtree(private_folder() / f"{order.content}-{order.start}", ignore_errors=True)


def _rows_of_shard(connector: Any, split: str) -> list[LabeledBoard]:
    rows = rows_of_frame(connector.get_shard().to_pandas())
    if others := {row.split for row in rows} - {split}:
        raise DataError(
            f"expected boards of {split} alone, found boards of {', '.join(sorted(others))}",
            where=TABLE,
            fix="report this fault",
        )
    return rows


def _parts(rows: Sequence[LabeledBoard]) -> Iterator[list[LabeledBoard]]:
    part: list[LabeledBoard] = []
    size = 0
    for row in rows:
        if part and size + row.size > PART_BYTES:
            yield part
            part, size = [], 0
        part.append(row)
        size += row.size
    if part:
        yield part


def _in_order(order: SnowflakeOrder, pairs: Pairs, folder: Path) -> tuple[Pairs, Pairs]:
    there = {pair.test_path.name: pair for pair in pairs}
    wanted = (*order.boards, *order.validation_boards)
    if missing := [name for name in wanted if name not in there]:
        raise DataError(
            f"expected {len(wanted)} boards of the data set, found all but {len(missing)} (first: {missing[0]})",
            where=TABLE,
            fix="import the data set into the account's warehouse with `copperline data import`",
        )
    trained, validated = [there[name] for name in order.boards], [there[name] for name in order.validation_boards]
    if content_of(trained, validated, order.taxonomy) != order.content:
        raise DataError(
            "expected the images and labels that the run was started with, found others under the same names",
            where=TABLE,
            fix="import the data set again, and let nobody write the table during a run",
        )
    return trained, validated
