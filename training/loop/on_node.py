"""What a user sees on the node while it trains: progress, the loss, animations made meanwhile. Used by ``stages.at_node``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch

from ...sampling.files.save import SaveOptions, save_animation
from ...sampling.host.controls import Conditioning
from ...sampling.host.sample import VAE, ProgressBar, is_interrupted, run_ksampler, show, tell, warn
from .watch import Progress, Watch

TEXT_EVERY = 0.5
"""Seconds between two texts on the node."""
RECENT = 50
"""Steps whose mean loss is told."""


@dataclass(frozen=True)
class Preview:
    """An animation that is made every few steps, with the weights as they are.

    Attributes:
        every: steps.
        positive, negative: its prompts.
        vae: makes pictures of its latents.
        steps, cfg, seed: of the sampling.
        frame_rate: at which it plays.
    """

    every: int
    positive: Conditioning
    negative: Conditioning
    vae: VAE
    steps: int = 20
    cfg: float = 7.5
    seed: int = 0
    frame_rate: float = 8.0


class NodeWatch(Watch):
    """Shows a training on its node, and stops it when the user does.

    Args:
        steps: in all.
        shape: of the previewed latents ``(F, C, h, w)``.
    """

    def __init__(self, steps: int, shape: tuple[int, ...], preview: Preview | None = None) -> None:
        self.bar, self.shape, self.preview = ProgressBar(steps), shape, preview
        self.look_every = preview.every if preview is not None else 0
        self.recent: list[float] = []
        self.told, self.began, self.first = 0.0, time.monotonic(), -1

    def after_step(self, progress: Progress) -> None:
        """Move the bar on, and tell the loss every now and then."""
        self.first = progress.step if self.first < 0 else self.first
        self.recent = [*self.recent[1 - RECENT :], progress.loss]
        self.bar.update_absolute(progress.step, progress.steps)
        now = time.monotonic()
        if now - self.told > TEXT_EVERY or progress.step == progress.steps:
            self.told = now
            tell(self._text(progress, now))

    def _text(self, progress: Progress, now: float) -> str:
        mean = sum(self.recent) / len(self.recent)
        done = progress.step - self.first
        left = (now - self.began) / (done + 1) * (progress.steps - progress.step)
        noise = ", ".join("-" if loss is None else f"{loss:.4f}" for loss in progress.by_noise)
        return (
            f"step {progress.step} of {progress.steps}, loss {mean:.4f} (mean of the last {len(self.recent)})\n"
            f"last step by noise, little to much: {noise}\nabout {_duration(left)} left"
        )

    def stops(self) -> bool:
        """Whether the user cancelled the run."""
        return is_interrupted()

    def look(self, step: int, model: Any) -> None:
        """Make an animation and play it on the node."""
        if self.preview is None:
            return
        wanted, nothing = self.preview, {"samples": torch.zeros(self.shape)}
        prompts = (wanted.positive, wanted.negative)
        made = run_ksampler(model, wanted.seed, wanted.steps, wanted.cfg, ("ddim", "ddim_uniform"), prompts, nothing, 1.0)
        images: Any = wanted.vae.decode(made["samples"])
        options = SaveOptions(frame_rate=wanted.frame_rate, filename_prefix=f"training_{step}", save_output=False)
        file = save_animation(images.reshape(-1, *images.shape[-3:]).float().cpu(), options)
        show({"images": [{"filename": file.filename, "subfolder": file.subfolder, "type": "temp"}], "animated": [True]})

    def warn(self, sentence: str) -> None:
        """Tell it in the log and on the node."""
        warn([sentence])


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min" if minutes else f"{round(seconds)} s"
