"""One step of training, the same on one worker and on many."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import accumulate

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

    Args:
        sums: what to add them up in, zeros for each of `running_buffers`.
    """

    def __init__(self, network: nn.Module, sums: Sequence[Tensor]) -> None:
        self._buffers = running_buffers(network)
        self._counts = [n.num_batches_tracked for n in _norms(network) if n.num_batches_tracked is not None]
        self._before = [buffer.clone() for buffer in self._buffers]
        self._sums = list(sums)

    @torch.no_grad()
    def begin(self) -> None:
        """Before a step."""
        torch._foreach_copy_(self._before, self._buffers)

    @torch.no_grad()
    def collect(self) -> None:
        """After a micro-batch has passed."""
        torch._foreach_add_(self._sums, self._buffers)
        torch._foreach_copy_(self._buffers, self._before)

    @torch.no_grad()
    def settle(self, micro_batches: int, step: int) -> None:
        """After a step, once the sums are those of all its micro-batches.

        Args:
            step: steps done in the run, which stands for the number of batches seen.
        """
        torch._foreach_copy_(self._buffers, torch._foreach_div(self._sums, micro_batches))
        for count in self._counts:
            count.fill_(step)


def running_buffers(network: nn.Module) -> list[Tensor]:
    """The running means and variances of a network's batch norms."""
    return [b for norm in _norms(network) for b in (norm.running_mean, norm.running_var) if b is not None]


def _norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


class GradientStep:
    """Puts the gradients of a batch's loss into the parameters of a network, however many workers share the batch.

    Each worker sums up loss and gradients over its micro-batches; one message adds up the sums of all workers; only
    then are they divided by what normalises the loss of the whole batch. So the loss, its gradients and the norms'
    statistics are those of one worker that passes all micro-batches: of two workers to the bit, of more but for the
    order of the additions.

    The parameters' gradients lie in that message from the start: nothing is gathered before it is sent, and what is
    done to all gradients is done to one tensor.

    Args:
        network: in training mode.
        micro_batches: of a batch, over all workers.
        autocast: what the network computes in.
        largest_norm: that all gradients together may have; longer ones are shortened to it.
    """

    def __init__(
        self,
        network: Network,
        world: World,
        micro_batches: int,
        device: torch.device,
        autocast: torch.dtype | None,
        largest_norm: float = math.inf,
    ) -> None:
        self._network, self._world, self._micro_batches = network, world, micro_batches
        self._device, self._autocast, self._largest_norm = device, autocast, largest_norm
        self._loss = DetectionLoss()
        parameters = [p for p in network.parameters() if p.requires_grad]
        losses = torch.zeros(len(LossSums._fields), device=device)
        self._message, views = _laid_end_to_end([*parameters, *running_buffers(network), losses])
        for parameter, view in zip(parameters, views, strict=False):
            parameter.grad = view
        self._gradients = self._message[: sum(p.numel() for p in parameters)]
        self._statistics = NormStatistics(network, views[len(parameters) : -1])
        self._losses = views[-1]

    def __call__(self, mine: Sequence[Batch], step: int, meanwhile: Callable[[], object] = lambda: None) -> Tensor:
        """The loss of the batch and its three terms: (4,) float32, the same on every worker.

        Args:
            mine: this worker's micro-batches, at least one.
            step: steps done in the run, with this one.
            meanwhile: see `World.add_up`.

        Raises:
            TrainingError: another worker is lost.
        """
        self._statistics.begin()
        self._sum_up(mine)
        self._world.add_up(self._message, meanwhile)
        normaliser = self._losses[-1].clamp(min=1.0)
        self._gradients /= normaliser
        norm = torch.linalg.vector_norm(self._gradients)
        self._gradients *= (self._largest_norm / (norm + 1e-6)).clamp(max=1.0)
        self._statistics.settle(self._micro_batches, step)
        return self._losses[:-1] / normaliser

    def _sum_up(self, mine: Sequence[Batch]) -> None:
        """Puts the sums over micro-batches into the message: those of each half, and then of both.

        Two workers add up their halves last too, so they come to the same to the bit.
        """
        if len(mine) == 1:
            self._pass(mine[0])
            return
        half = -(-len(mine) // 2)  # as `shares` cuts
        self._sum_up(mine[:half])
        first = self._message.clone()
        self._sum_up(mine[half:])
        self._message += first

    def _pass(self, batch: Batch) -> None:
        self._message.zero_()
        images, targets = _to_device(batch, self._device)
        with self._reduced():
            output = self._network(images)
        terms = self._loss(output, targets)
        terms.total.backward()  # type: ignore[no-untyped-call]
        self._statistics.collect()
        self._losses += torch.stack([term.detach() for term in terms])

    def _reduced(self) -> AbstractContextManager[None]:
        reduced = self._autocast
        return torch.autocast(self._device.type, dtype=reduced or torch.bfloat16, enabled=reduced is not None)


def _laid_end_to_end(tensors: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Zeros for all the tensors in one, and a view of its part for each, in the order that its elements lie in memory.

    An optimizer is slow where a gradient lies otherwise than its parameter; that of a convolution lies channels last.
    """
    message = torch.zeros(sum(t.numel() for t in tensors), device=tensors[0].device)
    starts = accumulate((t.numel() for t in tensors), initial=0)
    return message, [message.as_strided(t.size(), t.stride(), start) for t, start in zip(tensors, starts, strict=False)]


def _to_device(batch: Batch, device: torch.device) -> tuple[Tensor, Targets]:
    # Reordered while a pixel is one byte, which is four times less to move.
    images = batch.images.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)
    targets = Targets(*(part.to(device, non_blocking=True) for part in batch.targets))
    return images.float().div_(255), targets
