"""How the camera moves in an animation: shift, zoom and roll between frames. Called by ``summary`` and by benches.

Signs say where the *content* goes on the picture: x to the right, y downwards, roll clockwise, zoom larger. The camera
itself does the opposite of the first three: content that moves to the right is seen by a camera that pans to the left, content
that moves downwards by one that tilts up, content that turns clockwise by one that rolls anticlockwise. Content that grows is
seen by a camera that zooms in.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .align import fitted_similarity
from .pixels import as_frames, brightness, reduced
from .spectrum import spectral_similarity

_SPECTRAL_SIDE = 128
"""Pixels of the longer side at which spectra are compared: they only give the fit a start."""


@dataclass(frozen=True)
class CameraMotion:
    """What the camera does from frame to frame.

    Attributes:
        pairs: a similarity for each pair of frames, ``(P, 4)``: x and y in pixels, log zoom, roll in radians.
        explained: which part of each pair's pictures that explains, 0 to 1, ``(P,)``; the confidence.
        apart: how many frames lie between the two of a pair; all numbers below are for one frame.
    """

    pairs: Tensor
    explained: Tensor
    apart: int = 1

    @property
    def per_frame(self) -> Tensor:
        """``(P, 4)``: x, y in pixels, zoom in percent, roll in degrees, all per frame."""
        x, y, zoom, roll = (self.pairs / self.apart).unbind(dim=1)
        return torch.stack((x, y, 100 * zoom.expm1(), roll.rad2deg()), dim=1)

    def _middle(self, column: int) -> float:
        """A median over the pairs, in which what explains little counts little."""
        order = self.per_frame[:, column].argsort()
        weight = self.explained[order].clamp_min(1e-3).cumsum(0)
        return float(self.per_frame[order[int(torch.searchsorted(weight, weight[-1] / 2))], column])

    @property
    def x(self) -> float:
        """Pixels per frame that the content moves to the right: the camera pans left. Negative is to the left."""
        return self._middle(0)

    @property
    def y(self) -> float:
        """Pixels per frame that the content moves downwards: the camera tilts up. Negative is upwards."""
        return self._middle(1)

    @property
    def zoom(self) -> float:
        """Percent per frame by which the content grows: the camera zooms in. Negative shrinks."""
        return self._middle(2)

    @property
    def roll(self) -> float:
        """Degrees per frame that the content turns clockwise: the camera rolls anticlockwise. Negative is anticlockwise."""
        return self._middle(3)

    @property
    def confidence(self) -> float:
        """Which part of the pictures a moving camera explains, 0 to 1."""
        return float(self.explained.median())


def camera_motion(frames: Tensor, apart: int = 1, ignored: Tensor | None = None) -> CameraMotion:
    """The motion of the camera in an animation, whatever a thing in front of it does.

    Args:
        frames: ``(F, H, W, 3)``, 0 to 1.
        apart: frames are compared with the one that comes so many later; more for slow moves.
        ignored: mask ``(F, H, W)`` or ``(1, H, W)`` that is 1 where things move by themselves, for pictures in which they
            are larger than what the camera sees.

    Raises:
        ValueError: fewer frames than ``apart`` + 1, or a mask of another size.
    """
    if apart < 1:
        raise ValueError(f"Frames are compared with later ones, at least 1 apart; got {apart}.")
    pictures = brightness(as_frames(frames, apart + 1))
    mask = None if ignored is None else 1 - _fitted_mask(ignored, pictures)
    seen = None if mask is None else (mask[:-apart], mask[apart:])
    first, second = pictures[:-apart], pictures[apart:]
    fitted = fitted_similarity(first, second, [torch.zeros(len(first), 4), _spectral_start(first, second)], seen)
    return CameraMotion(fitted[:, :4], fitted[:, 4], apart)


def _spectral_start(first: Tensor, second: Tensor) -> Tensor:
    """A guess for moves that are too large to be followed from none."""
    share = max(1.0, max(first.shape[-2:]) / _SPECTRAL_SIDE)
    start = spectral_similarity(reduced(first, _SPECTRAL_SIDE), reduced(second, _SPECTRAL_SIDE))[:, :4]
    return start * start.new_tensor((share, share, 1.0, 1.0))


def _fitted_mask(mask: Tensor, pictures: Tensor) -> Tensor:
    """A mask for each picture, of its size."""
    mask = (mask if mask.ndim == 3 else mask[None]).detach().float().cpu()
    if mask.ndim != 3 or mask.shape[0] not in (1, len(pictures)):
        raise ValueError(f"ignored needs one mask, or one for each of {len(pictures)} frames; got a tensor of {tuple(mask.shape)}.")
    size = (pictures.shape[1], pictures.shape[2])
    return functional.interpolate(mask[:, None], size=size, mode="area")[:, 0].clamp(0, 1).expand(len(pictures), -1, -1)
