"""What the graphs that take a picture, a video or a control need to run: examples of all three, small and seeded.

The picture and the video show a bright disc on a gradient, moving in the video. The control is a T2I-Adapter of the tiny
SD1.5 checkpoint's layout, with random weights. Written by `write_models`; pictures and video need what ComfyUI installs.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image
from torch import Tensor

from .tiny_weights import Weights

SIZE, FRAMES, FPS = 128, 24, 8
CHANNELS = (32, 64, 128, 128)
PIXELS_IN = 3 * 8 * 8
"""Colours times the 8 x 8 pixels of one latent pixel, which the adapter reads at once."""


def picture(progress: float) -> np.ndarray:
    """``(SIZE, SIZE, 3)`` uint8: the disc at a share of its way from the left to the right."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    distance = np.hypot(x - (0.2 + 0.6 * progress), y - 0.5 + 0.15 * np.sin(6.28 * progress))
    disc = np.clip((0.22 - distance) * 12, 0, 1)[..., None]
    ground = np.stack([0.2 + 0.3 * y, 0.3 + 0.2 * x, 0.5 - 0.2 * y], axis=-1)
    return np.round(255 * (disc * np.array([1.0, 0.85, 0.6]) + (1 - disc) * ground)).astype(np.uint8)


def write_picture(path: Path) -> None:
    """A PNG of the start of the video."""
    Image.fromarray(picture(0.0)).save(path, "PNG")


def write_video(path: Path) -> None:
    """An MP4 (H.264) of FRAMES frames."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("h264", rate=FPS, options={"crf": "18"})
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, FPS)
        for index in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(picture(index / (FRAMES - 1)), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def t2i_adapter(seed: int = 50) -> dict[str, Tensor]:
    """The state dict of a T2I-Adapter in its authors' spelling: two residual blocks for each of the UNet's levels."""
    weights = Weights(seed)
    weights.conv("conv_in", CHANNELS[0], PIXELS_IN)
    before = CHANNELS[0]
    for level, width in enumerate(CHANNELS):
        for block in range(2):
            name = f"body.{2 * level + block}"
            if before != width:
                weights.conv(f"{name}.in_conv", width, before, size=1)
            weights.conv(f"{name}.block1", width, width)
            weights.conv(f"{name}.block2", width, width, size=1)
            before = width
    return dict(weights)
