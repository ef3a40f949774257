"""All measures of one animation at once, in words and as a picture. Called by ``nodes.evaluate``."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .camera import CameraMotion, camera_motion
from .change import flicker, frame_distances, loop_closure
from .embeddings import domain_similarity, motion_smoothness, text_alignment
from .plot import below_each_other, line_plot

_STANDS = (0.1, 0.1, 0.1)
"""Pixels of a picture of 512, percent and degrees a frame below which a camera is said to stand still."""
_UNSURE = 0.4
"""Confidence below which frames have too little in common for a camera."""
_LEVELS = 255
"""Differences are told in levels of brightness."""


@dataclass(frozen=True)
class MeasuredMotion:
    """What moves in an animation and how much its frames differ.

    Attributes:
        motion: of the camera.
        distances: of each frame from the next, 0 to 1, ``(F - 1,)``.
        closure: the distance of the last frame from the first, in units of the median of ``distances``.
        flickers: of each inner frame, 0 to 1, ``(F - 2,)``; empty for 2 frames.
        side: pixels of the picture's longer side.
    """

    motion: CameraMotion
    distances: Tensor
    closure: float
    flickers: Tensor
    side: int

    @property
    def neighbour_distance(self) -> float:
        """The mean of ``distances``."""
        return float(self.distances.mean())

    @property
    def flicker(self) -> float:
        """The mean of ``flickers``; 0 where there are none."""
        return float(self.flickers.mean()) if len(self.flickers) else 0.0

    @property
    def text(self) -> str:
        """A line for each measure."""
        motion = self.motion
        least = _STANDS[0] * self.side / 512
        unsure = " (unsure: the frames have little in common)" if motion.confidence < _UNSURE else ""
        return "\n".join(
            (
                f"shift x {motion.x:+.2f} px a frame{_word(motion.x, least, 'content to the right, camera pans left', 'content to the left, camera pans right')}",
                f"shift y {motion.y:+.2f} px a frame{_word(motion.y, least, 'content downwards, camera tilts up', 'content upwards, camera tilts down')}",
                f"zoom {motion.zoom:+.2f} % a frame{_word(motion.zoom, _STANDS[1], 'content grows, camera zooms in', 'content shrinks, camera zooms out')}",
                f"roll {motion.roll:+.2f} degrees a frame{_word(motion.roll, _STANDS[2], 'content clockwise, camera anticlockwise', 'content anticlockwise, camera clockwise')}",
                f"a moving camera explains {motion.confidence:.0%} of the pictures{unsure}",
                f"neighbouring frames {_LEVELS * self.neighbour_distance:.1f} of {_LEVELS} apart",
                f"loop: the last frame is {self.closure:.2g} times as far from the first as neighbours are apart",
                f"flicker {_LEVELS * self.flicker:.2f} of {_LEVELS}",
            )
        )

    @property
    def picture(self) -> Tensor:
        """Charts per pair of frames, one below the other: shift, zoom and roll, difference."""
        x, y, zoom, roll = (values.tolist() for values in self.motion.per_frame.unbind(dim=1))
        differences = {"to the next frame": (_LEVELS * self.distances).tolist()}
        if len(self.flickers):
            differences["flicker"] = [float("nan"), *(_LEVELS * self.flickers).tolist()]
        return below_each_other(
            (
                line_plot({"x to the right": x, "y downwards": y}, "shift", unit="px a frame"),
                line_plot({"zoom in %": zoom, "roll in degrees": roll}, "a frame:"),
                line_plot(differences, "difference", unit=f"of {_LEVELS}"),
            )
        )


def _word(value: float, least: float, more: str, less: str) -> str:
    """What a number means, unless it is hardly any."""
    return "" if abs(value) < least else f": {more if value > 0 else less}"


def measured_motion(frames: Tensor, ignored: Tensor | None = None) -> MeasuredMotion:
    """Measure an animation ``(F, H, W, 3)``; see ``camera_motion`` for ``ignored``.

    Raises:
        ValueError: fewer than 2 frames.
    """
    motion = camera_motion(frames, ignored=ignored)
    flickers = flicker(frames, motion) if len(frames) > 2 else torch.zeros(0)
    return MeasuredMotion(motion, frame_distances(frames), loop_closure(frames), flickers, max(frames.shape[1:3]))


@dataclass(frozen=True)
class Scores:
    """The measures of the paper's table 1, as cosines per frame, -1 to 1; empty where nothing to compare with was given."""

    text_alignments: Tensor
    domain_similarities: Tensor
    smoothnesses: Tensor

    @property
    def text_alignment(self) -> float:
        """Mean over the frames; 0 without a prompt."""
        return _mean(self.text_alignments)

    @property
    def domain_similarity(self) -> float:
        """Mean over the frames; 0 without references."""
        return _mean(self.domain_similarities)

    @property
    def motion_smoothness(self) -> float:
        """Mean over neighbours."""
        return _mean(self.smoothnesses)

    @property
    def _rows(self) -> dict[str, tuple[Tensor, str]]:
        return {
            "text alignment": (self.text_alignments, "connect clip and write a text"),
            "domain similarity": (self.domain_similarities, "connect references"),
            "motion smoothness": (self.smoothnesses, ""),
        }

    @property
    def text(self) -> str:
        """A line for each measure, times 100 as in the paper."""
        return "\n".join(
            f"{name} {100 * float(values.mean()):.2f}" if len(values) else f"{name}: not measured ({missing})"
            for name, (values, missing) in self._rows.items()
        )

    @property
    def picture(self) -> Tensor:
        """A chart per measure, one below the other."""
        return below_each_other(
            [line_plot({name: (100 * values).tolist()}, unit="") for name, (values, _) in self._rows.items() if len(values)]
        )


def _mean(values: Tensor) -> float:
    return float(values.mean()) if len(values) else 0.0


def scored(frames: Tensor, text: Tensor | None = None, references: Tensor | None = None) -> Scores:
    """Score embeddings of frames ``(F, D)`` against those of a prompt ``(1, D)`` and of references ``(R, D)``."""
    nothing = torch.zeros(0)
    return Scores(
        nothing if text is None else text_alignment(frames, text),
        nothing if references is None else domain_similarity(frames, references),
        motion_smoothness(frames),
    )
