"""All that moves and changes in one animation, in words and as a picture. Called by ``nodes.evaluate``."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .camera import CameraMotion, camera_motion
from .change import flicker, frame_distances, loop_closure
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
