"""Where and how a stage of the small world is trained: by this pack's own loop, whatever is trained. Every stage calls it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from . import files
from .pack import pack

pack()
from animatediff_native.training.loop.draws import Draw  # noqa: E402
from animatediff_native.training.loop.on_console import ConsoleWatch  # noqa: E402
from animatediff_native.training.loop.processes import Processes, Several  # noqa: E402
from animatediff_native.training.loop.run import Conditions, Loop  # noqa: E402
from animatediff_native.training.loop.settings import TrainingSettings  # noqa: E402
from animatediff_native.training.loop.state import digest_of, fingerprint  # noqa: E402
from animatediff_native.training.loop.watch import Keeping, Progress, Watch  # noqa: E402
from animatediff_native.training.stages.clips import Run  # noqa: E402

if TYPE_CHECKING:
    from .studio import Studio

TELL_EVERY = 50  # steps
SAVE_EVERY = 90.0  # seconds
WARM_UP = 100  # steps
AVERAGE = 0.998  # how slowly the averaged weights follow

__all__ = [
    "ConsoleWatch", "Loss", "Networks", "Place", "Processes", "Report", "Several", "Teller", "digest_of", "finished", "fitting", "mixed_precision",
]  # fmt: skip

Report = Callable[[str], None]
Loss = Callable[[torch.Generator], Tensor]


def mixed_precision() -> torch.autocast:
    """bf16, but on processors without AVX-512: they imitate it, and take 3.9 s for the latents of a clip in place of 0.4 in fp32."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=torch.backends.cpu.get_cpu_capability().startswith("AVX512"))


def fitting(steps: int, learning_rate: float) -> TrainingSettings:
    """Settings for `Place.fit`."""
    return TrainingSettings(
        steps=steps, learning_rate=learning_rate, training_dtype="fp32", warm_up=WARM_UP, schedule="cosine", average=AVERAGE,
    )  # fmt: skip


def finished(name: str, steps: int, settings: TrainingSettings) -> None:
    """Raise a ValueError where a training ended before its last step: what it reached is kept, and not exported."""
    if steps < settings.steps:
        raise ValueError(f"{name} ended at step {steps} of {settings.steps}, and its state is kept. Run the same command to go on from there.")


def _never() -> bool:
    return False


class Teller(Watch):
    """Reports the mean losses of the last steps, in all and by noise where that is known; all but the first of several processes are silent."""

    def __init__(self, report: Report | None, stops: Callable[[], bool]) -> None:
        self.report, self.stops = report, stops
        self.recent: list[Progress] = []

    def after_step(self, progress: Progress) -> None:
        if self.report is None:
            return
        self.recent.append(progress)
        if len(self.recent) < TELL_EVERY and progress.step < progress.steps:
            return
        quarters = [[p.by_noise[q] for p in self.recent if p.by_noise[q] is not None] for q in range(4)]
        means = " ".join(f"{sum(part) / len(part):.4f}" if part else "-" for part in quarters)
        loss = sum(p.loss for p in self.recent) / len(self.recent)
        by_noise = f", by noise {means}" if sum(map(bool, quarters)) > 1 else ""
        self.report(f"step {progress.step} of {progress.steps}, loss {loss:.4f}{by_noise}")
        self.recent.clear()

    def warn(self, sentence: str) -> None:
        if self.report is not None:
            self.report(sentence)


@dataclass(frozen=True)
class Networks:
    """Any networks and their loss, as the loop takes a problem."""

    weights: dict[str, nn.Parameter]
    loss_of: Loss
    clips: int = 1
    levels: int = 1

    def parameters(self) -> dict[str, nn.Parameter]:
        """What is trained, by name."""
        return self.weights

    def look(self, watch: Watch, step: int) -> None:
        """There is no MODEL to look at."""

    def loss(self, draw: Draw) -> Tensor:
        """The loss of one draw of random numbers."""
        return self.loss_of(draw.random)


@dataclass(frozen=True)
class Place:
    """Where a stage runs.

    Attributes:
        state: folder of what it keeps.
        report: told how it goes, by the first of several processes.
        processes: those that share the batch of each step.
        stops: asked before each clip whether to stop here; what was reached is kept.
    """

    state: Path
    report: Report
    processes: Processes = field(default_factory=Processes)
    stops: Callable[[], bool] = _never

    def run(self, studio: Studio, name: str) -> Run:
        """How this pack's training runs."""
        return Run(studio.prompt(""), self._watch(), self._keeping(name), self.processes)

    def _watch(self) -> Watch:
        return Teller(self.report if self.processes.rank == 0 else None, self.stops)

    def _keeping(self, name: str) -> Keeping:
        return Keeping(self.state / f"{name}.pt", every=SAVE_EVERY)

    def fit(self, name: str, networks: nn.Module, loss: Loss, settings: TrainingSettings, data: Sequence[Tensor] = ()) -> dict[str, Tensor]:
        """Train networks to the end, or go on where an earlier run stopped; returns the average of their weights.

        Args:
            name: of the file that keeps the state.
            loss: of the own share of a batch, from a generator that is another one at each step and in each process.
            settings: with a batch of 1: one call of `loss` in each process is a step.
            data: that a run must have in common with the one it goes on from.
        """
        marks = fingerprint(settings, data, name, self.processes.count)
        trained = {key: parameter for key, parameter in networks.named_parameters() if parameter.requires_grad}
        loop = Loop(Networks(trained, loss), Conditions(settings, self._watch(), self._keeping(name), marks, self.processes))
        loop.run()
        finished(name, loop.step, settings)
        return loop.weights

    def part(self, batch: int) -> int:
        """The own share of a batch: it is the same, however many processes share it."""
        share, rest = divmod(batch, self.processes.count)
        if rest:
            raise ValueError(f"{self.processes.count} processes cannot share a batch of {batch}. Use 1, 2 or 4.")
        return share

    def share(self, settings: TrainingSettings) -> TrainingSettings:
        """The settings of one of the processes that share a batch."""
        return replace(settings, batch_size=self.part(settings.batch_size))

    def export(self, tensors: dict[str, Tensor], name: str, weights: Path, metadata: dict[str, str] | None = None) -> None:
        """Write the file of a finished stage, once; all processes go on when it is there."""
        self.processes.in_turn(lambda: self.processes.rank == 0 and files.export(tensors, name, metadata, weights))
