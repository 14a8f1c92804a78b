"""Training as people see it: one bar with the loss and the time left, and a line for each validation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from copperline.training.loop import Metrics


class TrainingBar:
    """Listens to training and draws; also prints lines above the bar."""

    def __init__(self, bar: Progress, console: Console) -> None:
        self.bar, self.console = bar, console
        self.task = bar.add_task("Training", total=None, loss="")
        self.smoothed: float | None = None

    def on_step(self, step: int, total_steps: int, loss: float) -> None:
        self.smoothed = loss if self.smoothed is None else 0.97 * self.smoothed + 0.03 * loss
        self.bar.update(self.task, completed=step, total=total_steps, loss=f"loss {self.smoothed:.2f}")

    def on_epoch(self, epoch: int, metrics: Metrics) -> None:
        self.tell(epoch_line(epoch, metrics))

    def tell(self, line: str) -> None:
        """Prints a line for people."""
        self.console.print(line, highlight=False, soft_wrap=True)


class EpochLines:
    """Listens to training and gives a line after each epoch to `tell`, for places that draw no bar."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        self.tell = tell

    def on_step(self, step: int, total_steps: int, loss: float) -> None:
        """Steps are too many for lines."""

    def on_epoch(self, epoch: int, metrics: Metrics) -> None:
        self.tell(epoch_line(epoch, metrics))


def epoch_line(epoch: int, metrics: Metrics) -> str:
    """What is told of an epoch; the figures on validation only where they were measured.

    >>> epoch_line(3, {"loss": 1.2345, "seconds": 7.4, "val_map50": 0.5})
    'epoch 3: loss 1.234, 7 s, validation mAP50 50.0 %'
    """
    line = f"epoch {epoch}: loss {metrics['loss']:.3f}, {metrics['seconds']:.0f} s"
    if "val_map50" in metrics:
        line += f", validation mAP50 {100 * metrics['val_map50']:.1f} %"
    if "val_map50_95" in metrics:
        line += f", mAP50:95 {100 * metrics['val_map50_95']:.1f} %"
    return line


@contextmanager
def training_progress() -> Iterator[TrainingBar]:
    """A listener that draws on stderr; without a terminal only the lines per epoch are printed."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        yield TrainingBar(bar, console)
