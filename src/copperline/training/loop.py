"""The training loop: one for every engine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cv2
import torch

from copperline.data import BoardPair
from copperline.errors import TrainingError
from copperline.taxonomy import Taxonomy
from copperline.training.batches import ImageCache, OneEarlier, batches, micro_batches, shares, steps_per_epoch
from copperline.training.checkpoint import Checkpoint
from copperline.training.config import TrainConfig
from copperline.training.crop_processes import crop_processes
from copperline.training.distributed import ALONE, World
from copperline.training.ema import WeightAverage
from copperline.training.initial import crops_to_measure, initial_network
from copperline.training.memory import keep_freed_memory
from copperline.training.precision import autocast_dtype
from copperline.training.schedule import learning_rate, make_optimizer
from copperline.training.step import GradientStep
from copperline.yolo.network import Network, build_network

Metrics = dict[str, float]
Validate = Callable[[Network, World], Metrics]
Save = Callable[[Checkpoint], object]
CHECKPOINT_EVERY_S = 60.0


class Listener(Protocol):
    """Is told how training goes."""

    def on_step(self, step: int, total_steps: int, loss: float) -> None: ...

    def on_epoch(self, epoch: int, metrics: Metrics) -> None: ...


@dataclass(frozen=True)
class TrainResult:
    """The averaged network in eval mode, one dict of metrics for each epoch, and the time spent in training steps."""

    network: Network
    history: list[Metrics]
    seconds: float


@dataclass
class _State:
    """What a checkpoint holds: after `step` steps of the epoch that follows `epoch` whole ones."""

    network: Network
    average: WeightAverage[Network]
    optimizer: torch.optim.Optimizer
    losses: torch.Tensor  # (4,) sums over the steps of the epoch
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    history: list[Metrics] = field(default_factory=list)


def train(
    pairs: Sequence[BoardPair],
    taxonomy: Taxonomy,
    config: TrainConfig,
    folder: Path,
    *,
    data_hash: str = "",
    validate: Validate | None = None,
    listeners: Sequence[Listener] = (),
    world: World = ALONE,
    threads: int = 1,
    resume: Checkpoint | None = None,
    init: Path | None = None,
    parts: tuple[int, ...] = (),
    save: Save | None = None,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
) -> TrainResult:
    """Trains a network and leaves a checkpoint in `folder` after every epoch, and about every minute.

    Every worker of `world` calls it with the same arguments; each then computes a share of every step, and all end with
    the same network, which is also what a single worker would have trained: two to the bit, more up to rounding.

    Args:
        pairs: the training boards.
        validate: called with the averaged network in eval mode, in every worker; what it gives the main one counts.
        listeners: told in the main worker alone.
        threads: CPU threads of this machine, shared by its workers.
        resume: goes on from there to the same result as without the interruption, on any number of workers.
        init: the model file that `config.init_sha256` names, to start from; a run that is resumed does not need it.
        parts: for each of `pairs`, which data set it is of; with `config.mix` alone.
        save: keeps a checkpoint, in the main worker; default: in `folder`.

    Raises:
        TrainingError: the loss is not finite, `resume` or `init` does not fit, there are more workers than
            micro-batches, or another worker is lost.
        ModelError: `init` cannot be used.
    """
    device = world.device()
    torch.set_num_threads(max(threads // world.local_size, 1))
    if device.type == "cpu":
        keep_freed_memory()
    shares(config, world.size)  # too many workers are told of before anything is read
    if config.mix and len(config.mix) != len(set(parts)):
        raise TrainingError(
            f"expected shares of {len(set(parts)) or 'no'} data sets, found {len(config.mix)}",
            fix="give one --mix for each --data",
        )
    cache = ImageCache(pairs, config.image_cache_mib // world.local_size)
    fresh = _fresh_network(config, taxonomy, cache, parts, init) if resume is None else None
    state = _start(taxonomy, config, device, data_hash, resume, fresh)
    world.require_same((state.epoch, state.step, data_hash), "place to begin at and data")

    def keep() -> None:
        checkpoint = _checkpoint(state, taxonomy, config, data_hash)
        checkpoint.save(folder) if save is None else save(checkpoint)

    while state.epoch < config.epochs:
        with _opencv_on_one_thread():
            metrics = _train_epoch(state, cache, config, world, device, listeners, parts, keep, checkpoint_every_s)
        due = state.epoch % config.validate_every == 0 or state.epoch == config.epochs
        if validate is not None and due:
            metrics |= validate(state.average.network, world)
        state.history.append(metrics)
        if world.is_main:
            for listener in listeners:
                listener.on_epoch(state.epoch, metrics)
            keep()
    return TrainResult(state.average.network, state.history, state.seconds)


@contextmanager
def _opencv_on_one_thread() -> Iterator[None]:
    """OpenCV's threads would fight with torch's for the cores, over crops that one thread turns in no time."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _fresh_network(
    config: TrainConfig, taxonomy: Taxonomy, cache: ImageCache, parts: tuple[int, ...], init: Path | None
) -> Network:
    """With fresh weights, or with those of the model that the run starts from."""
    torch.manual_seed(config.seed)
    if config.init_sha256 is None:
        return build_network(config.network, len(taxonomy))
    if init is None:
        raise TrainingError(f"the run is to start from {config.init}, found no model", fix="name it with --init")
    with _opencv_on_one_thread():
        return initial_network(init, config, taxonomy, crops_to_measure(cache, config, parts)).train()


def _start(
    taxonomy: Taxonomy,
    config: TrainConfig,
    device: torch.device,
    data_hash: str,
    resume: Checkpoint | None,
    fresh: Network | None,
) -> _State:
    network = build_network(config.network, len(taxonomy)) if fresh is None else fresh
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average, optimizer = WeightAverage(network, config.ema_decay), make_optimizer(network, config)
    state = _State(network, average, optimizer, torch.zeros(4, device=device))
    if resume is None:
        return state
    if resume.data_hash != data_hash or resume.classes != taxonomy.names or resume.config != config:
        changed = (
            "data" if resume.data_hash != data_hash else "classes" if resume.classes != taxonomy.names else "settings"
        )
        raise TrainingError(f"the run to resume has other {changed}", fix="resume with the same, or train anew")
    network.load_state_dict(resume.network)
    state.average.network.load_state_dict(resume.average)
    state.average.updates = resume.average_updates
    state.optimizer.load_state_dict(resume.optimizer)
    state.losses.copy_(torch.tensor(resume.losses))
    state.epoch, state.step = resume.epoch, resume.step
    state.seconds, state.history = resume.seconds, list(resume.history)
    return state


def _checkpoint(state: _State, taxonomy: Taxonomy, config: TrainConfig, data_hash: str) -> Checkpoint:
    return Checkpoint(
        config=config,
        data_hash=data_hash,
        classes=taxonomy.names,
        epoch=state.epoch,
        step=state.step,
        losses=state.losses.tolist(),
        network=state.network.state_dict(),
        average=state.average.network.state_dict(),
        average_updates=state.average.updates,
        optimizer=state.optimizer.state_dict(),
        history=state.history,
        seconds=state.seconds,
    )


def _train_epoch(
    state: _State,
    cache: ImageCache,
    config: TrainConfig,
    world: World,
    device: torch.device,
    listeners: Sequence[Listener],
    parts: tuple[int, ...],
    keep: Callable[[], None],
    checkpoint_every_s: float,
) -> Metrics:
    """The rest of the epoch that `state` is in, whose means it gives."""
    steps = steps_per_epoch(len(cache), config)
    reduced = autocast_dtype(config, device)
    state.network.train()
    gradients = GradientStep(
        state.network, world, len(micro_batches(config)), device, reduced, largest_norm=config.gradient_clip
    )
    clock = time.perf_counter()
    kept = clock
    rate = 0.0
    prepared = OneEarlier(
        batches(
            cache,
            config,
            state.epoch,
            rank=world.rank,
            world_size=world.size,
            first=state.step,
            ahead=3 if device.type == "cuda" else 0,
            processes=crop_processes(device, world.local_size),
            parts=parts,
        )
    )
    for mine in prepared:
        done = state.epoch * steps + state.step
        rate = learning_rate(done, steps * config.epochs, config)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        losses = gradients(mine, done + 1, meanwhile=prepared.get_ready)
        loss = float(losses[0])
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is not finite in epoch {state.epoch + 1}, step {state.step + 1} (learning rate {rate:.2g})",
                fix="the last checkpoint is kept; lower --learning-rate",
            )
        state.optimizer.step()
        state.average.update()
        state.losses += losses
        state.step += 1
        now = time.perf_counter()
        state.seconds, clock = state.seconds + now - clock, now
        if not world.is_main:
            continue
        for listener in listeners:
            listener.on_step(done + 1, steps * config.epochs, loss)
        if state.step < steps and now - kept > checkpoint_every_s:
            keep()
            kept = time.perf_counter()
    total, classes, boxes, distribution = (state.losses / steps).tolist()
    state.losses.zero_()
    state.epoch, state.step = state.epoch + 1, 0
    return {
        "epoch": float(state.epoch),
        "loss": total,
        "loss_classes": classes,
        "loss_boxes": boxes,
        "loss_distribution": distribution,
        "learning_rate": rate,
        "seconds": state.seconds - sum(metrics["seconds"] for metrics in state.history),
    }
