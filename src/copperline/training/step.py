"""One step of training, the same on one worker and on many."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from copperline.training.batches import Batch
from copperline.training.distributed import World
from copperline.yolo.loss import DetectionLoss, LossSums, Targets
from copperline.yolo.network import Network


class NormStatistics:
    """The running means and variances of a network's batch norms, of which each micro-batch sees those before the step.

    A batch norm updates them whenever a batch passes. What is kept here instead is the mean of what the step's
    micro-batches would each have made of them, wherever those passed.
    """

    def __init__(self, network: nn.Module) -> None:
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        self._buffers = [b for norm in norms for b in (norm.running_mean, norm.running_var) if b is not None]
        self._counts = [norm.num_batches_tracked for norm in norms if norm.num_batches_tracked is not None]
        self._before = [buffer.clone() for buffer in self._buffers]
        self.sums = [torch.zeros_like(buffer) for buffer in self._buffers]

    @torch.no_grad()
    def begin(self) -> None:
        """Before a step."""
        torch._foreach_copy_(self._before, self._buffers)
        torch._foreach_zero_(self.sums)

    @torch.no_grad()
    def collect(self) -> None:
        """After a micro-batch has passed."""
        torch._foreach_add_(self.sums, self._buffers)
        torch._foreach_copy_(self._buffers, self._before)

    @torch.no_grad()
    def settle(self, micro_batches: int, step: int) -> None:
        """After a step, once `sums` are those of all its micro-batches.

        Args:
            step: steps done in the run, which stands for the number of batches seen.
        """
        torch._foreach_copy_(self._buffers, torch._foreach_div(self.sums, micro_batches))
        for count in self._counts:
            count.fill_(step)


class GradientStep:
    """Puts the gradients of a batch's loss into the parameters of a network, however many workers share the batch.

    Each worker sums up loss and gradients over its micro-batches; one message adds up the sums of all workers; only
    then are they divided by what normalises the loss of the whole batch. So the loss, its gradients and the norms'
    statistics are those of one worker that passes all micro-batches, but for the order of the additions.

    Args:
        network: in training mode.
        micro_batches: of a batch, over all workers.
        autocast: what the network computes in.
    """

    def __init__(
        self, network: Network, world: World, micro_batches: int, device: torch.device, autocast: torch.dtype | None
    ) -> None:
        self._network, self._world, self._micro_batches = network, world, micro_batches
        self._device, self._autocast = device, autocast
        self._parameters = [p for p in network.parameters() if p.requires_grad]
        self._statistics = NormStatistics(network)
        self._loss = DetectionLoss()

    def __call__(self, mine: Sequence[Batch], step: int) -> Tensor:
        """The loss of the batch and its three terms: (4,) float32, the same on every worker.

        Args:
            mine: this worker's micro-batches, at least one.
            step: steps done in the run, with this one.

        Raises:
            TrainingError: another worker is lost.
        """
        self._statistics.begin()
        for parameter in self._parameters:
            parameter.grad = None
        sums = torch.zeros(len(LossSums._fields), device=self._device)
        for batch in mine:
            images, targets = _to_device(batch, self._device)
            with self._reduced():
                output = self._network(images)
            terms = self._loss(output, targets)
            terms.total.backward()  # type: ignore[no-untyped-call]
            self._statistics.collect()
            sums += torch.stack([term.detach() for term in terms])
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self._parameters]
        self._world.add_up([*gradients, *self._statistics.sums, sums])
        normaliser = sums[-1].clamp(min=1.0)
        for parameter, gradient in zip(self._parameters, torch._foreach_div(gradients, normaliser), strict=True):
            parameter.grad = gradient
        self._statistics.settle(self._micro_batches, step)
        return sums[:-1] / normaliser

    def _reduced(self) -> AbstractContextManager[None]:
        reduced = self._autocast
        return torch.autocast(self._device.type, dtype=reduced or torch.bfloat16, enabled=reduced is not None)


def _to_device(batch: Batch, device: torch.device) -> tuple[Tensor, Targets]:
    # Reordered while a pixel is one byte, which is four times less to move.
    images = batch.images.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)
    targets = Targets(*(part.to(device, non_blocking=True) for part in batch.targets))
    return images.float().div_(255), targets
