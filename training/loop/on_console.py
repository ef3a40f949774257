"""What a training tells in a terminal, and how it is stopped there. Used by ``stages.command``."""

from __future__ import annotations

import logging
import signal
import time
from types import FrameType

from .watch import Progress, Watch

SAID_EVERY = 10.0
"""Seconds between two lines."""


class ConsoleWatch(Watch):
    """Writes a line to the log every now and then. The first Ctrl+C, or SIGTERM, ends the training and keeps its state.

    Args:
        says: False for all processes but the first.
    """

    def __init__(self, says: bool) -> None:
        self.says, self.wanted = says, False
        self.losses: list[float] = []
        self.said = time.monotonic()

    def listen(self) -> None:
        """Take over the signals. Call it in the main thread of a program that does nothing else."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._asked)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True

    def stops(self) -> bool:
        return self.wanted

    def after_step(self, progress: Progress) -> None:
        self.losses.append(progress.loss)
        now = time.monotonic()
        if self.says and (now - self.said > SAID_EVERY or progress.step == progress.steps):
            mean = sum(self.losses) / len(self.losses)
            noise = " ".join("-" if loss is None else f"{loss:.4f}" for loss in progress.by_noise)
            logging.info("step %d of %d, loss %.4f over %d steps; by noise %s", progress.step, progress.steps, mean, len(self.losses), noise)
            self.said, self.losses = now, []

    def warn(self, sentence: str) -> None:
        if self.says:
            logging.warning(sentence)
