"""The training loop: one for every engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cv2
import torch
from torch import Tensor, nn

from copperline.data import BoardPair
from copperline.errors import TrainingError
from copperline.taxonomy import Taxonomy
from copperline.training.batches import Batch, ImageCache, batches, steps_per_epoch
from copperline.training.checkpoint import Checkpoint
from copperline.training.config import TrainConfig
from copperline.training.distributed import World
from copperline.training.ema import WeightAverage
from copperline.training.initial import crops_to_measure, initial_network
from copperline.training.precision import autocast_dtype
from copperline.training.schedule import learning_rate, make_optimizer
from copperline.yolo.loss import DetectionLoss, LossTerms, Targets
from copperline.yolo.network import Network, build_network

Metrics = dict[str, float]
Validate = Callable[[Network], Metrics]


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
    network: Network
    average: WeightAverage[Network]
    optimizer: torch.optim.Optimizer
    epoch: int = 0
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
    world: World | None = None,
    threads: int = 1,
    resume: Checkpoint | None = None,
    init: Path | None = None,
    parts: tuple[int, ...] = (),
) -> TrainResult:
    """Trains a network and leaves a checkpoint in `folder` after every epoch.

    Args:
        pairs: the training boards.
        validate: called with the averaged network in eval mode, in the main process only.
        threads: CPU threads of this machine, shared by its processes.
        resume: goes on from there to the same result as without the interruption.
        init: the model file that `config.init_sha256` names, to start from; a run that is resumed does not need it.
        parts: for each of `pairs`, which data set it is of; with `config.mix` alone.

    Raises:
        TrainingError: the loss is not finite, or `resume` or `init` does not fit.
        ModelError: `init` cannot be used.
    """
    world = world or World()
    device = world.device()
    torch.set_num_threads(max(threads // world.local_size, 1))
    if config.batch_size % world.size:
        raise TrainingError(
            f"expected a batch size divisible by {world.size} processes, found {config.batch_size}",
            fix="change --batch-size",
        )
    if config.mix and len(config.mix) != len(set(parts)):
        raise TrainingError(
            f"expected shares of {len(set(parts)) or 'no'} data sets, found {len(config.mix)}",
            fix="give one --mix for each --data",
        )
    cache = ImageCache(pairs, config.image_cache_mib)
    fresh = _fresh_network(config, taxonomy, cache, parts, init) if resume is None else None
    state = _start(taxonomy, config, device, data_hash, resume, fresh)
    wrapped = world.wrap(state.network, device)

    while state.epoch < config.epochs:
        with _opencv_on_one_thread():
            metrics = _train_epoch(wrapped, state, cache, config, world, device, listeners, parts)
        state.epoch += 1
        due = state.epoch % config.validate_every == 0 or state.epoch == config.epochs
        if world.is_main:
            if validate is not None and due:
                metrics |= validate(state.average.network)
            state.history.append(metrics)
            for listener in listeners:
                listener.on_epoch(state.epoch, metrics)
            _checkpoint(state, taxonomy, config, data_hash).save(folder)
        world.barrier()
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
    state = _State(network, WeightAverage(network, config.ema_decay), make_optimizer(network, config))
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
    state.epoch, state.seconds, state.history = resume.epoch, resume.seconds, list(resume.history)
    return state


def _checkpoint(state: _State, taxonomy: Taxonomy, config: TrainConfig, data_hash: str) -> Checkpoint:
    return Checkpoint(
        config=config,
        data_hash=data_hash,
        classes=taxonomy.names,
        epoch=state.epoch,
        network=state.network.state_dict(),
        average=state.average.network.state_dict(),
        average_updates=state.average.updates,
        optimizer=state.optimizer.state_dict(),
        history=state.history,
        seconds=state.seconds,
    )


def _train_epoch(
    wrapped: nn.Module,
    state: _State,
    cache: ImageCache,
    config: TrainConfig,
    world: World,
    device: torch.device,
    listeners: Sequence[Listener],
    parts: tuple[int, ...],
) -> Metrics:
    steps = steps_per_epoch(len(cache), config)
    loss_of = DetectionLoss()
    reduced = autocast_dtype(config, device)
    sums = torch.zeros(4, device=device)
    started = time.perf_counter()
    wrapped.train()
    prepared = batches(
        cache,
        config,
        state.epoch,
        rank=world.rank,
        world_size=world.size,
        ahead=3 if device.type == "cuda" else 0,
        parts=parts,
    )
    for i, batch in enumerate(prepared):
        step = state.epoch * steps + i
        rate = learning_rate(step, steps * config.epochs, config)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        images, targets = _to_device(batch, device)
        with torch.autocast(device.type, dtype=reduced or torch.bfloat16, enabled=reduced is not None):
            output = wrapped(images)
        terms: LossTerms = loss_of(output, targets)
        if not world.all_true(bool(torch.isfinite(terms.total)), device):
            raise TrainingError(
                f"the loss is not finite in epoch {state.epoch + 1}, step {i + 1} (learning rate {rate:.2g})",
                fix="the last checkpoint is kept; lower --learning-rate",
            )
        state.optimizer.zero_grad(set_to_none=True)
        terms.total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(state.network.parameters(), config.gradient_clip)
        state.optimizer.step()
        state.average.update()
        sums += torch.stack([term.detach() for term in terms])
        if world.is_main:
            for listener in listeners:
                listener.on_step(step + 1, steps * config.epochs, float(terms.total.detach()))
    seconds = time.perf_counter() - started
    state.seconds += seconds
    total, classes, boxes, distribution = (sums / steps).tolist()
    return {
        "epoch": float(state.epoch + 1),
        "loss": total,
        "loss_classes": classes,
        "loss_boxes": boxes,
        "loss_distribution": distribution,
        "learning_rate": rate,
        "seconds": seconds,
    }


def _to_device(batch: Batch, device: torch.device) -> tuple[Tensor, Targets]:
    # Reordered while a pixel is one byte, which is four times less to move.
    images = batch.images.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)
    targets = Targets(*(part.to(device, non_blocking=True) for part in batch.targets))
    return images.float().div_(255), targets
