"""Frames as bytes and as pictures of Pillow, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO

import torch
from PIL import Image, ImageFile
from torch import Tensor

from ..host.sample import ProgressBar, stop_if_interrupted

MODES = {3: "RGB", 4: "RGBA"}
"""Pillow's names of what has so many channels."""
CHANNELS = (1, 3, 4)
"""Of images that can be saved: grey, colours, colours and alpha."""


def check_images(images: Tensor) -> None:
    """Raise ValueError for anything but ``(F, H, W, C)`` numbers in grey, RGB or RGBA."""
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[-1] not in CHANNELS:
        raise ValueError(
            f"Images are to have the shape (frames, height, width, channels) with 1, 3 or 4 channels; these have {shape}. "
            "Connect an IMAGE, such as that of VAE Decode."
        )
    if 0 in shape:
        raise ValueError(f"An animation needs at least one frame with at least one pixel; these images have the shape {shape}.")
    broken = [index for index, frame in enumerate(images) if not bool(torch.isfinite(frame).all())]
    if broken:
        named = ", ".join(map(str, broken[:8])) + (", ..." if len(broken) > 8 else "")
        raise ValueError(
            f"Every pixel is to be a number; {len(broken)} of {shape[0]} frames hold NaN or infinity ({named}). A VAE or a model "
            "in half precision often makes them: start ComfyUI with --fp32-vae, or use another VAE."
        )


def frame_bytes(images: Tensor, index: int) -> Tensor:
    """One frame as bytes ``(H, W, 3 or 4)`` on the CPU: clamped to 0..1 and rounded; grey becomes RGB."""
    frame = images[index].float().clamp(0, 1).mul(255).round().to("cpu", torch.uint8)
    return frame.expand(-1, -1, 3) if frame.shape[-1] == 1 else frame


def as_picture(pixels: Tensor) -> Image.Image:
    """Bytes ``(H, W, 3 or 4)`` as a picture."""
    return Image.fromarray(pixels.contiguous().numpy())


def counted(order: Sequence[int]) -> Callable[[int], int]:
    """Gives the frame to be shown at a position, moves the node's progress bar on and stops where the user cancels."""
    bar = ProgressBar(len(order))

    def frame_at(position: int) -> int:
        stop_if_interrupted()
        bar.update_absolute(position + 1)
        return order[position]

    return frame_at


class LazyPicture(ImageFile.ImageFile):
    """A picture of several frames as Pillow's readers of files are, but each frame is made when it is asked for.

    Pillow's writer of WEBP takes no generator, and would otherwise hold all frames at once.
    """

    format = "frames"

    def __init__(self, images: Tensor, order: Sequence[int]) -> None:
        self._images = images
        self._frame_at = counted(order)
        self._position = 0
        self.n_frames = len(order)
        self.is_animated = self.n_frames > 1
        super().__init__(BytesIO())

    def _open(self) -> None:
        height, width, channels = self._images.shape[1:]
        self._size = (width, height)
        self._mode = MODES[max(3, channels)]
        self.seek(0)

    def seek(self, frame: int) -> None:
        """Go to a frame; it is made by the next ``load``."""
        self._position = frame
        self.tile = [("raw", (0, 0, *self.size), 0, (self.mode, 0, 1))]

    def tell(self) -> int:
        """The frame that is shown."""
        return self._position

    def load(self):
        """Make the frame that was asked for."""
        if self.tile:
            pixels = frame_bytes(self._images, self._frame_at(self._position))
            self.fp = BytesIO(pixels.contiguous().numpy().tobytes())
        return super().load()
