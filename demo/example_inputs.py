"""What the graphs that take a picture, a video or a control need to run: examples of all three, small and seeded.

The picture and the video show a scene of the small world. The T2I-Adapter has random weights; it fits an SD1.5 whose levels have 1, 2, 4
and 4 times the channels of the first, as the host takes for granted. `write_models` writes picture and video, which need what ComfyUI
installs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from .synthetic import TINY_CHANNELS
from .tiny_weights import Weights
from .world.clips import to_bytes
from .world.scene import draw, scene

SIZE, FRAMES, FPS = 128, 24, 8
SEED = 5
PIXELS_IN = 3 * 8 * 8
"""Colours times the 8 x 8 pixels of one latent pixel, which the adapter reads at once."""


def pictures(count: int = FRAMES) -> np.ndarray:
    """``(count, SIZE, SIZE, 3)`` uint8: a big red ball rolls to the right over a green hill."""
    words = {"colour": "red", "kind": "ball", "size": "big", "motion": "rolls to the right", "ground": "green hill"}
    what = replace(scene(torch.Generator().manual_seed(SEED), **words), striped=False)
    frames = draw(what, range(count)).movedim(-1, 1)
    large = functional.interpolate(frames, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    return to_bytes(large.movedim(1, -1)).numpy()


def write_picture(path: Path) -> None:
    """A PNG of the start of the video."""
    Image.fromarray(pictures(1)[0]).save(path, "PNG")


def write_video(path: Path) -> None:
    """An MP4 (H.264) of FRAMES frames."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("h264", rate=FPS, options={"crf": "18"})
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, FPS)
        for picture in pictures():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def t2i_adapter(channels: Sequence[int] = TINY_CHANNELS, seed: int = 50) -> dict[str, Tensor]:
    """The state dict of a T2I-Adapter in its authors' spelling: two residual blocks for each of the UNet's levels."""
    weights = Weights(seed)
    weights.conv("conv_in", channels[0], PIXELS_IN)
    before = channels[0]
    for level, width in enumerate(channels):
        for block in range(2):
            name = f"body.{2 * level + block}"
            if before != width:
                weights.conv(f"{name}.in_conv", width, before, size=1)
            weights.conv(f"{name}.block1", width, width)
            weights.conv(f"{name}.block2", width, width, size=1)
            before = width
    return dict(weights)
