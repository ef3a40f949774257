"""The training loop: draw clips, add their gradients, step, tell, keep. `stages` runs it inside a sampling run of the host."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from .draws import QUARTERS, Draw, Lottery, quarter_of
from .optimizer import learning_rate, make_optimizer, move_average
from .processes import Processes
from .settings import TrainingSettings
from .state import State, load_state, save_state
from .watch import Keeping, Progress, Watch, detached

BROKEN = (
    "The loss of step {step} is not a number, so the training ended there; the weights are those of the step before. Lower "
    "learning_rate, raise warm_up, or set training_dtype to {dtype}."
)


class Problem(Protocol):
    """What is trained, on what.

    Attributes:
        clips: how many there are.
        levels: how many noise levels the schedule has.
    """

    clips: int
    levels: int

    def parameters(self) -> dict[str, nn.Parameter]:
        """What is trained, by name."""
        ...

    def look(self, watch: Watch, step: int) -> None:
        """Let a watch see the model as it is."""
        ...

    def loss(self, draw: Draw) -> Tensor:
        """How far the model is off for one clip, with its gradients: one number."""
        ...


@dataclass(frozen=True)
class Conditions:
    """What a training runs under.

    Attributes:
        fingerprint: of the training, see ``state.fingerprint``.
    """

    settings: TrainingSettings
    watch: Watch
    keeping: Keeping
    fingerprint: dict[str, str]
    processes: Processes


class _Stopped(Exception):
    """The training ends before its last step; the reason is its text, empty when the watch asked for it."""


class Loop:
    """One training, from where it is to its end."""

    def __init__(self, problem: Problem, conditions: Conditions) -> None:
        self.problem, self.conditions = problem, conditions
        self.settings, self.watch = conditions.settings, conditions.watch
        self.parameters = problem.parameters()
        per_step = self.settings.clips_per_step * conditions.processes.count
        self.lottery = Lottery(self.settings, per_step, problem.clips, problem.levels)
        self.trained = list(self.parameters.values())
        self.device = self.trained[0].device
        self.optimizer = make_optimizer(self.trained, self.settings)
        half = self.settings.training_dtype == "fp16"
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=half)
        self.average = {name: p.detach().clone() for name, p in self.parameters.items()} if self.settings.average else {}
        self.step = 0
        self.losses: list[float] = []
        self.notes: list[str] = []
        self.saved = time.monotonic()

    # --- from beginning to end ---------------------------------------------------------------------------------------

    def run(self) -> None:
        """Train. Afterwards ``step``, ``losses``, ``notes`` and ``weights`` say what came of it.

        Raises:
            ValueError: the state to go on from is that of another training, or the very first loss is not a number.
        """
        keeping = self.conditions.keeping
        if (state := self.conditions.processes.from_first(self._kept)) is not None:
            self._restore(state)
        self.conditions.processes.begin(self.trained)
        try:
            while self.step < self.settings.steps:
                self._step()
                if self.watch.look_every and self.step % self.watch.look_every == 0:
                    self._look()
                if time.monotonic() - self.saved > keeping.every:
                    self._save()
        except _Stopped as reason:
            if str(reason):
                if self.step == 0:
                    raise ValueError(str(reason)) from None
                self.notes.append(str(reason))
                self.watch.warn(str(reason))
        finally:
            self.optimizer.zero_grad(set_to_none=True)
            self._save()

    @property
    def weights(self) -> dict[str, Tensor]:
        """The result: the average where there is one, else the weights. Copies on the CPU."""
        return detached(self.average or dict(self.parameters))

    # --- one step ----------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        processes, settings = self.conditions.processes, self.settings
        own = settings.clips_per_step
        per_step = own * processes.count
        draws, losses = [], []
        for item in range(processes.rank * own, (processes.rank + 1) * own):
            if processes.count == 1 and self.watch.stops():
                raise _Stopped
            drawn = self.lottery.draw(self.step, item)
            loss = self.problem.loss(drawn)
            self.scaler.scale(loss / per_step).backward()
            draws.append(drawn)
            losses.append(loss.detach().float())
        told = self._agree(draws, losses)
        loss = sum(told[:QUARTERS]) / per_step
        if not math.isfinite(loss) or not (math.isfinite(told[-2]) or self.scaler.is_enabled()):
            other = "bf16 or fp32" if settings.training_dtype == "fp16" else "fp32"
            raise _Stopped(BROKEN.format(step=self.step + 1, dtype=other))
        if told[-1]:
            raise _Stopped
        self._move()
        self.step += 1
        self.losses.append(loss)
        by_noise = tuple(told[q] / told[QUARTERS + q] if told[QUARTERS + q] else None for q in range(QUARTERS))
        self.watch.after_step(Progress(self.step, settings.steps, loss, by_noise))

    def _agree(self, draws: Sequence[Draw], losses: Sequence[Tensor]) -> list[float]:
        """Add up gradients and losses over all processes.

        Returns:
            The sums of the losses by quarter of the noise levels, the numbers of clips in these, the norm of the gradients, and
            whether somebody wants to stop. All in one copy from the device.
        """
        processes = self.conditions.processes
        gradients = [p.grad for p in self.trained if p.grad is not None]
        processes.add(gradients)
        sums = torch.zeros(2 * QUARTERS, device=self.device)
        for drawn, loss in zip(draws, losses, strict=True):
            quarter = quarter_of(drawn.level, self.problem.levels)
            sums[quarter] += loss
            sums[QUARTERS + quarter] += 1
        stops = torch.full((1,), float(processes.count > 1 and self.watch.stops()), device=self.device)
        processes.add((sums, stops))
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.get_total_norm(gradients)
        if self.settings.gradient_limit > 0:
            nn.utils.clip_grads_with_norm_(self.trained, self.settings.gradient_limit, norm)
        return torch.cat((sums, norm.reshape(1).float(), stops)).tolist()

    def _move(self) -> None:
        """The optimizer's step, and the average after it."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.settings)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average:
            move_average(self.average, self.parameters, self.step, self.settings.average)

    def _look(self) -> None:
        """Let the watch see the model with the weights that would be returned."""
        own = [parameter.detach().clone() for parameter in self.trained] if self.average else []
        try:
            self._put(self.average.values())
            self.problem.look(self.watch, self.step)
        finally:
            self._put(own)

    def _put(self, weights: Iterable[Tensor]) -> None:
        """Give the parameters other values; none changes nothing."""
        with torch.no_grad():
            for parameter, weight in zip(self.trained, weights, strict=False):
                parameter.copy_(weight)

    # --- what lasts --------------------------------------------------------------------------------------------------

    def _kept(self) -> State | None:
        """The state to go on from, if there is one."""
        keeping = self.conditions.keeping
        if keeping.file is None or not keeping.resume or not keeping.file.exists():
            return None
        return load_state(keeping.file, self.conditions.fingerprint)

    def _restore(self, state: State) -> None:
        with torch.no_grad():
            for name, weight in state.weights.items():
                self.parameters[name].copy_(weight)
            for name, weight in state.average.items():
                self.average[name].copy_(weight)
        self.optimizer.load_state_dict(state.optimizer)
        self.scaler.load_state_dict(state.scaler)
        self.step, self.losses = state.step, list(state.losses)

    def _save(self) -> None:
        """Keep the state if it is to be kept; the training goes on where that fails."""
        self.saved = time.monotonic()
        file = self.conditions.keeping.file
        if file is None or self.conditions.processes.rank > 0:
            return
        weights: dict[str, Tensor] = dict(self.parameters)
        state = State(
            self.step, self.losses, detached(weights), detached(self.average), self.optimizer.state_dict(),
            self.scaler.state_dict(), self.conditions.fingerprint,
        )  # fmt: skip
        try:
            save_state(state, file)
        except OSError as error:
            self.watch.warn(f"The training goes on, but its state is not kept: {error} Make room or choose another folder.")
