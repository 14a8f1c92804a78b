"""One training step as a CUDA graph, which the GPU replays without waiting for Python; for `train_side_by_side.py`.

A graph needs tensors of fixed shapes in fixed places, and no look at a value on the way. So labels are padded to one
number, and the loss is summed over all points, with weights of 0 where there is no label, which is the same loss. On a
CPU the same step is computed without a graph.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from copperline.errors import TrainingError
from copperline.taxonomy import DEEPPCB
from copperline.training.batches import Batch
from copperline.training.checkpoint import Checkpoint
from copperline.training.config import TrainConfig
from copperline.training.ema import WeightAverage
from copperline.training.precision import autocast_dtype
from copperline.training.schedule import learning_rate, make_optimizer
from copperline.yolo.assigner import assign
from copperline.yolo.head import HeadOutput
from copperline.yolo.loss import DetectionLoss, LossSums, Targets, complete_iou, distribution_focal_loss
from copperline.yolo.network import build_network

# Labels of a crop; those of 128 px of DeepPCB show up to 4.
MOST_LABELS = 16
# Before a graph is captured, so that all that is chosen or allocated once has been.
WARM_UP_STEPS = 3


def padded(batch: Batch) -> Batch:
    """The batch with room for `MOST_LABELS` labels in each crop. Raises TrainingError if a crop has more."""
    n, count = batch.targets.mask.shape
    if count > MOST_LABELS:
        raise TrainingError(f"expected at most {MOST_LABELS} labels in a crop, found {count}", fix="take smaller crops")
    boxes, classes = torch.zeros(n, MOST_LABELS, 4), torch.zeros(n, MOST_LABELS, dtype=torch.int64)
    mask = torch.zeros(n, MOST_LABELS, dtype=torch.bool)
    boxes[:, :count], classes[:, :count], mask[:, :count] = batch.targets
    return Batch(batch.images, Targets(boxes, classes, mask))


def fixed_shape_loss(output: HeadOutput, targets: Targets, weights: DetectionLoss) -> LossSums:
    """What `weights(output, targets)` gives, but no shape depends on how many points have a label."""
    logits, boxes = output.class_logits.float(), output.boxes()
    found = assign(logits.detach().sigmoid(), boxes.detach(), output.points, output.strides, *targets)

    classes = targets.classes.gather(1, found.label_index)
    class_targets = torch.zeros_like(logits).scatter_(2, classes[..., None], found.scores[..., None])
    class_loss = functional.binary_cross_entropy_with_logits(logits, class_targets, reduction="sum")

    # A point without a label gets some proper box, so that what is weighted with 0 is finite.
    somewhere = torch.cat((output.points - output.strides, output.points + output.strides), 1)
    labelled = targets.boxes.gather(1, found.label_index[..., None].expand(-1, -1, 4))
    true_boxes = torch.where(found.foreground[..., None], labelled, somewhere)
    iou = complete_iou(boxes.flatten(0, 1), true_boxes.flatten(0, 1)).view_as(found.scores)
    box_loss = ((1 - iou) * found.scores).sum()

    bins = output.distributions.shape[-1]
    distances = torch.cat((output.points - true_boxes[..., :2], true_boxes[..., 2:] - output.points), -1)
    focal = distribution_focal_loss(
        output.distributions.float().flatten(0, 1),
        (distances / output.strides).clamp(0, bins - 1 - 1e-2).flatten(0, 1),
    )
    distribution_loss = (focal.view_as(found.scores) * found.scores).sum()

    parts = (
        weights.class_weight * class_loss,
        weights.box_weight * box_loss,
        weights.distribution_weight * distribution_loss,
    )
    total = sum(parts, torch.zeros((), device=logits.device))
    class_term, box_term, distribution_term = (part.detach() for part in parts)
    return LossSums(total, class_term, box_term, distribution_term, found.scores.sum().detach())


class Variant:
    """A network that is trained, with its optimizer and average.

    Args:
        place: where the batch of each step lies on the device: the same tensors in every step.
    """

    def __init__(self, name: str, config: TrainConfig, place: Batch, device: torch.device) -> None:
        self.name, self.config, self._place, self._device = name, config, place, device
        torch.manual_seed(config.seed)
        self.network = build_network(config.network, len(DEEPPCB))
        self.network.to(device=device, memory_format=torch.channels_last)
        self.network.train()
        self.average = WeightAverage(self.network, config.ema_decay)
        self._optimizer = make_optimizer(self.network, config)
        self._loss, self._reduced = DetectionLoss(), autocast_dtype(config, device)
        self._sums = torch.zeros(4, device=device)
        self._epochs: list[Tensor] = []
        self._history: list[dict[str, float]] = []
        self._rate, self._steps, self._since = 0.0, 0, time.perf_counter()
        self.done: torch.cuda.Event | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        if device.type == "cuda":
            self._capture()

    def begin(self) -> None:
        """Time is counted from here."""
        self._since = time.perf_counter()

    def step(self, step: int, total_steps: int, after: torch.cuda.Stream | None = None) -> None:
        """Trains on the batch that lies in place, on a GPU as soon as what `after` has been given is done."""
        self._rate = learning_rate(step, total_steps, self.config)
        self._steps += 1
        if self._graph is None:
            for group in self._optimizer.param_groups:
                group["lr"] = self._rate
            self._optimizer.zero_grad(set_to_none=True)
            self._compute()
            return
        if after is not None:
            self._stream.wait_stream(after)
        self.average.updates += 1
        with torch.cuda.stream(self._stream):
            self._rate_there.fill_(self._rate)
            self._share_there.fill_(1 - self.average.current_decay())
            self._graph.replay()
            self.done = self._stream.record_event()

    def end_epoch(self) -> None:
        """Notes the epoch; its loss stays on the device, so that it need not be waited for."""
        now = time.perf_counter()
        with self._on_its_stream():
            self._epochs.append(self._sums / self._steps)
            self._sums.zero_()
        self._history.append(
            {"epoch": len(self._history) + 1.0, "learning_rate": self._rate, "seconds": now - self._since}
        )
        self._since, self._steps = now, 0

    def loss(self) -> float:
        """Of the last whole epoch."""
        return float(self._epochs[-1][0]) if self._epochs else float("nan")

    def save(self, folder: Path, data_hash: str) -> None:
        """A checkpoint of the whole epochs, as `copperline train` leaves one at its end."""
        folder.mkdir(parents=True, exist_ok=True)
        names = ("loss", "loss_classes", "loss_boxes", "loss_distribution")
        optimizer = self._optimizer.state_dict()
        for group in optimizer["param_groups"]:
            group["lr"], group["capturable"] = self._rate, False
        Checkpoint(
            config=self.config.model_copy(update={"epochs": len(self._history)}),
            data_hash=data_hash,
            classes=DEEPPCB.names,
            epoch=len(self._history),
            network=self.network.state_dict(),
            average=self.average.network.state_dict(),
            average_updates=self.average.updates,
            optimizer=optimizer,
            history=[
                entry | dict(zip(names, sums.tolist(), strict=True))
                for entry, sums in zip(self._history, self._epochs, strict=True)
            ],
            seconds=sum(entry["seconds"] for entry in self._history),
        ).save(folder)

    def _capture(self) -> None:
        # Read from the GPU's memory, since they change between replays.
        self._rate_there = torch.zeros((), device=self._device)
        self._share_there = torch.zeros((), device=self._device)
        for group in self._optimizer.param_groups:
            group["lr"], group["capturable"] = self._rate_there, True
        before = [tensor.clone() for tensor in self._tensors()]
        self._stream = torch.cuda.Stream()
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            for _ in range(WARM_UP_STEPS):
                self._optimizer.zero_grad(set_to_none=True)
                self._compute()
        torch.cuda.synchronize()
        self._optimizer.zero_grad(set_to_none=True)
        self._graph = torch.cuda.CUDAGraph()
        # Thread-local: the threads that pin batches may go on meanwhile.
        with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
            self._compute()
        with torch.no_grad():
            for tensor, value in zip(self._tensors(), before, strict=True):
                tensor.copy_(value)
            for state in self._optimizer.state.values():
                for tensor in state.values():
                    tensor.zero_()
            self._sums.zero_()
        torch.cuda.synchronize()

    def _tensors(self) -> list[Tensor]:
        return [*self.network.state_dict().values(), *self.average.network.state_dict().values()]

    def _compute(self) -> None:
        images = self._place.images.contiguous(memory_format=torch.channels_last).float().div_(255)
        reduced = self._reduced
        with torch.autocast(
            self._device.type, dtype=reduced or torch.bfloat16, enabled=reduced is not None, cache_enabled=False
        ):
            output = self.network(images)
        sums = fixed_shape_loss(output, self._place.targets, self._loss)
        normaliser = sums.normaliser.clamp(min=1.0)
        (sums.total / normaliser).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip)
        self._optimizer.step()
        if self._device.type == "cuda":
            self.average.move_by(self._share_there)
        else:
            self.average.update()
        self._sums += torch.stack([term.detach() for term in sums[:-1]]) / normaliser

    def _on_its_stream(self) -> AbstractContextManager[object]:
        return nullcontext() if self._graph is None else torch.cuda.stream(self._stream)
