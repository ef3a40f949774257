"""One palette for all frames of a GIF, and frames in its colours. Called by ``write``."""

from __future__ import annotations

import math

import torch
from PIL import Image
from torch import Tensor

from .pixels import as_picture, frame_bytes

NONE, FLOYD_STEINBERG, ORDERED = "none", "floyd_steinberg", "ordered"
DITHERS = [FLOYD_STEINBERG, ORDERED, NONE]
COLOURS = 255
"""The 256th stands for transparent pixels, and for those that are as in the frame before."""
SAMPLE = 2**18
"""Pixels of all frames together that the palette is made from."""
OPAQUE = 128
"""From this alpha on a pixel is shown."""
REACH = 8.0
"""How far ordered dithering moves a colour, in 255ths: somewhat less than neighbours in a palette differ."""
ROWS = 2**16
"""Colours that are compared with the palette at once."""
ALL_COLOURS = 2**24
"""Of three bytes."""
UNKNOWN = -1


class Palette:
    """Colours of a whole animation, with an entry for transparency after them.

    Attributes:
        colours: ``(N, 3)``, 0 to 255.
        transparent: number of the entry for transparency.
        entries: all of them as a GIF has them.
    """

    def __init__(self, images: Tensor) -> None:
        sample = torch.cat([_sampled(images, index) for index in range(len(images))])
        found = as_picture(sample.unsqueeze(1)).quantize(COLOURS, Image.Quantize.MEDIANCUT, kmeans=1)
        flat = (found.getpalette() or [])[: 3 * COLOURS]
        colours = list(dict.fromkeys(zip(flat[::3], flat[1::3], flat[2::3], strict=True)))
        unused = next((0, 0, blue) for blue in range(COLOURS + 1) if (0, 0, blue) not in colours)
        self.colours = torch.tensor(colours, dtype=torch.float32)
        self.transparent = len(colours)
        self.entries = bytes(value for colour in [*colours, unused] for value in colour)
        self._known = torch.full((ALL_COLOURS,), UNKNOWN, dtype=torch.int16)
        self._swatch = Image.new("P", (1, 1))
        self._swatch.putpalette(bytes(value for colour in colours for value in colour))

    def picture(self, pixels: Tensor, dither: str) -> Image.Image:
        """Bytes ``(H, W, 3 or 4)`` in these colours; alpha becomes shown or not shown."""
        rgb, alpha = pixels[..., :3], pixels[..., 3:]
        if dither == FLOYD_STEINBERG:
            dithered = as_picture(rgb).quantize(palette=self._swatch, dither=Image.Dither.FLOYDSTEINBERG)
            picture = Image.frombytes("P", dithered.size, dithered.tobytes())
        else:
            indices = self._nearest(rgb.float() + (_threshold(rgb) if dither == ORDERED else 0))
            picture = Image.frombytes("P", (pixels.shape[1], pixels.shape[0]), indices.numpy().tobytes())
        if alpha.shape[-1]:
            hidden = as_picture((alpha < OPAQUE).squeeze(-1).to(torch.uint8) * 255)
            picture.paste(self.transparent, mask=hidden)
        picture.putpalette(self.entries)
        return picture

    def _nearest(self, rgb: Tensor) -> Tensor:
        """Numbers ``(H, W)`` of the nearest colours. Pillow's own search looks at six bits of each channel only.

        Each colour is looked for once; later frames find most of theirs among those of the first.
        """
        red, green, blue = rgb.round().clamp(0, 255).to(torch.int64).unbind(-1)
        codes = (red << 16) + (green << 8) + blue
        new = codes[self._known[codes] == UNKNOWN].unique()
        squares = self.colours.square().sum(1)
        for part in new.split(ROWS):
            wanted = torch.stack([part >> 16, part >> 8 & 255, part & 255], 1).float()
            self._known[part] = (squares - 2 * wanted @ self.colours.T).argmin(1).to(torch.int16)
        return self._known[codes].to(torch.uint8)


def _sampled(images: Tensor, index: int) -> Tensor:
    """Every so manyth opaque pixel ``(n, 3)`` of a frame, so that all frames together have about ``SAMPLE``."""
    frames, height, width = images.shape[:3]
    every = max(1, math.isqrt(frames * height * width // SAMPLE))
    pixels = frame_bytes(images[:, ::every, ::every], index).flatten(0, 1)
    shown = pixels[pixels[:, 3] >= OPAQUE, :3] if pixels.shape[1] == 4 else pixels
    return shown if len(shown) else torch.zeros(1, 3, dtype=torch.uint8)


def _threshold(rgb: Tensor) -> Tensor:
    """Bayer's 8 x 8 pattern over a frame ``(H, W, 1)``: fixed to the picture, so that it does not move with the frames."""
    pattern = torch.zeros(1, 1)
    while len(pattern) < 8:
        pattern = torch.cat([torch.cat([4 * pattern, 4 * pattern + 2], 1), torch.cat([4 * pattern + 3, 4 * pattern + 1], 1)])
    height, width = rgb.shape[:2]
    tiled = pattern.repeat(math.ceil(height / 8), math.ceil(width / 8))[:height, :width]
    return ((tiled + 0.5) / 64 - 0.5).unsqueeze(-1) * REACH
