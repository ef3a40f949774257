"""Reads pictures of the small world back: which colour and kind of shape is where, on which ground, and whether there is a stamp.

Nothing here is trained. `reading` finds the shape by its colour and fits the outlines of a ball, a box and a triangle to its edge;
`bench motion` and the tests ask for it. Pictures are (N, 64, 64, 3), bytes or values from 0 to 1; places are in pixels from the
middle, x to the right and y downwards, as in `scene`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .clips import STAMP_EDGE, STAMP_SIZE, stamped
from .outlines import Outlines, fitted
from .scene import COLOURS, GROUNDS, KINDS, SKY, SOIL, VIEW

SATURATED = 0.66  # of its brightest channel, what every shape has more of than every ground
DARK = 0.12  # brightest channel below which a pixel has no colour
STRIPE_SHADE = 0.4  # of a colour that its darkest stripe still has, and a little less
SOFT = 0.6  # pixels of blur before colours are read, against noise
LEAST_AREA = 12.0  # pixels of a shape
LEAST_FIT = 0.6  # intersection over union of a shape that is one


class Shape(NamedTuple):
    """What `Reading` found in one picture."""

    colour: str
    kind: str
    ground: str


@dataclass(frozen=True)
class Reading:
    """What was read from N pictures.

    Attributes:
        shapes: the words for each.
        centres: (N, 2), also of shapes that are partly out of view.
        radii: (N,), as `Scene.radius`.
        fits: (N,), how well the outline agrees with the shape, as intersection over union; 0 without a shape.
        covers: (N, 64, 64), how much of each pixel the shape covers, 0 to 1.
    """

    shapes: list[Shape]
    centres: Tensor
    radii: Tensor
    fits: Tensor
    covers: Tensor

    @property
    def found(self) -> Tensor:
        """Whether there is a shape that looks like one, (N,)."""
        return self.fits > LEAST_FIT

    @property
    def masks(self) -> Tensor:
        """Where the shape is and some pixels around it, (N, 64, 64) of 0 and 1: what a measure of the camera is to ignore."""
        return functional.max_pool2d((self.covers > 0.2).float()[:, None], 7, stride=1, padding=3)[:, 0]

    def agrees(self, colour: str, kind: str, ground: str | None = None) -> Tensor:
        """Whether each picture shows this, (N,)."""
        same = [shape.colour == colour and shape.kind == kind and ground in (None, shape.ground) for shape in self.shapes]
        return torch.tensor(same) & self.found


def reading(pictures: Tensor) -> Reading:
    """Read pictures, (N, 64, 64, 3)."""
    soft = _blurred(_floats(pictures), SOFT)
    ground = _grounds(soft)
    colour = _colours(soft, ground)
    covers = _filled(_blob(_covers(soft, ground, colour)))
    outlines = fitted(covers)
    there = covers.sum(dim=(1, 2)) > LEAST_AREA
    words = zip(colour.tolist(), outlines.kinds.tolist(), ground.tolist(), strict=True)
    shapes = [Shape(tuple(COLOURS)[c], KINDS[k], GROUNDS[g]) for c, k, g in words]
    return Reading(shapes, outlines.centres, outlines.radii, outlines.fits * there, covers)


def displacement(found: Reading) -> Tensor:
    """How far the shape of a clip moves per frame, (2,): x to the right, y downwards, in pixels.

    The median of the way between frames a quarter of the clip apart, so that a frame in which nothing is read does no harm. 0
    where fewer than half of the frames show a shape.
    """
    apart = max(1, len(found.centres) // 4)
    both = found.found[apart:] & found.found[:-apart]
    if int(both.sum()) * 2 < len(both):
        return torch.zeros(2)
    return ((found.centres[apart:] - found.centres[:-apart]) / apart)[both].median(dim=0).values


def path_length(found: Reading) -> float:
    """How far the centre of the shape moves from frame to frame, in pixels, as a mean over the frames that show one."""
    both = found.found[1:] & found.found[:-1]
    way = (found.centres[1:] - found.centres[:-1]).norm(dim=1)[both]
    return float(way.mean()) if len(way) else 0.0


def picture_distance(first: Tensor, second: Tensor) -> Tensor:
    """The mean difference of pictures, 0 to 1: (N,)."""
    return (_floats(first) - _floats(second)).abs().mean(dim=(-3, -2, -1))


def stamp(pictures: Tensor) -> Tensor:
    """How strongly the mark of `clips.stamped` is in the lower right corner, 0 to 1: (N,)."""
    margin = STAMP_EDGE
    low, high = VIEW - STAMP_EDGE - STAMP_SIZE - margin, VIEW - STAMP_EDGE + margin
    blank = torch.full((1, VIEW, VIEW, 3), 128, dtype=torch.uint8)
    mark = _blurred(_floats(stamped(blank)), 1.0)[0, low:high, low:high].amin(dim=-1)
    seen = _blurred(_floats(pictures), 0.5)[:, low:high, low:high].amin(dim=-1)
    # what is bright in all channels, so that grounds and shapes are dark
    mark, seen = mark - mark.mean(), seen - seen.mean(dim=(1, 2), keepdim=True)
    alike = (seen * mark).sum(dim=(1, 2)) / (seen.norm(dim=(1, 2)) * mark.norm() + 1e-3)
    strength = (seen * mark).sum(dim=(1, 2)) / mark.square().sum()
    return alike.clamp(0, 1) * strength.clamp(0, 1)


# --- colours ---------------------------------------------------------------------------------------------------------


def _floats(pictures: Tensor) -> Tensor:
    return pictures.float() / 255.0 if pictures.dtype == torch.uint8 else pictures.float()


def _blurred(pictures: Tensor, sigma: float) -> Tensor:
    """Pictures (N, H, W, C) after a Gaussian blur."""
    reach = max(1, round(3 * sigma))
    line = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-((line / sigma) ** 2) / 2)
    kernel = (kernel / kernel.sum()).expand(pictures.shape[-1], 1, -1)
    x = functional.pad(pictures.movedim(-1, 1), (reach, reach, reach, reach), mode="replicate")
    x = functional.conv2d(x, kernel[:, :, None, :], groups=len(kernel))
    return functional.conv2d(x, kernel[..., None], groups=len(kernel)).movedim(1, -1)


def _shades(ground: str) -> Tensor:
    """The colours of a landscape without a shape, (S, 3): sky at all heights with clouds, soil, stones and markings."""
    sky, soil = torch.tensor(SKY[ground]), torch.tensor(SOIL[ground])
    skies = [sky - 0.25 * fade * torch.tensor((0.6, 0.3, -0.2)) for fade in (-0.5, 0.0, 0.4)]
    clouds = [shade + part * (sky * 0.4 + 0.6 - shade) for shade in skies for part in (0.0, 0.5, 1.0)]
    soils = [soil - 0.12 * fade for fade in (0.0, 0.3, 0.6)]
    stones = soil * 0.5 + 0.5 if ground == "grey road" else soil * 0.68
    return torch.stack([*clouds, *soils, stones])


def _saturation(pictures: Tensor) -> Tensor:
    high = pictures.amax(dim=-1)
    return (high - pictures.amin(dim=-1)) / high.clamp_min(DARK)


def _grounds(pictures: Tensor) -> Tensor:
    """The index of the ground whose colours are nearest to all that is no shape, (N,)."""
    free = (_saturation(pictures) < SATURATED).float()
    costs = []
    for ground in GROUNDS:
        shades = _shades(ground)
        near = torch.cdist(pictures.flatten(1, 2), shades).amin(dim=-1).clamp_max(0.2)
        costs.append((near * free.flatten(1)).sum(dim=1))
    return torch.stack(costs, dim=1).argmin(dim=1)


def _colours(pictures: Tensor, ground: Tensor) -> Tensor:
    """The index of the colour that most pixels are nearer to than to the landscape, whatever their brightness, (N,)."""
    hues = _hue(torch.tensor(tuple(COLOURS.values())))
    land = torch.stack([_hue(_shades(name)) for name in GROUNDS])[ground]
    pixels = _hue(pictures.flatten(1, 2))
    to_colour, nearest = torch.cdist(pixels, hues.expand(len(pixels), -1, -1)).min(dim=-1)
    to_land = torch.cdist(pixels, land).amin(dim=-1)
    bright = pictures.flatten(1, 2).amax(dim=-1) > DARK
    weight = ((to_land - to_colour) / (to_land + to_colour).clamp_min(1e-3)).clamp(0, 1) * bright
    votes = functional.one_hot(nearest, len(hues)) * weight[..., None]
    dense = functional.avg_pool2d(votes.unflatten(1, pictures.shape[1:3]).movedim(-1, 1), 7, stride=1)
    return dense.square().sum(dim=(2, 3)).argmax(dim=1)  # squared: one blob counts more than dust


def _hue(colours: Tensor) -> Tensor:
    """Colours (..., 3) without their brightness: shares of the channels."""
    return colours / colours.sum(dim=-1, keepdim=True).clamp_min(DARK)


def _covers(pictures: Tensor, ground: Tensor, colour: Tensor) -> Tensor:
    """How much of each pixel is shape, (N, H, W): the rest of it, taken apart into colour, sky and soil."""
    parts = torch.stack([
        torch.stack([
            torch.linalg.inv(torch.tensor((COLOURS[name], SKY[where], SOIL[where])))
            for name in COLOURS
        ])
        for where in GROUNDS
    ])  # fmt: skip
    amounts = torch.einsum("nhwc,ncp->nhwp", pictures, parts[ground, colour])
    landscape = amounts[..., 1:].sum(dim=-1)
    return torch.minimum(1 - landscape, amounts[..., 0] / STRIPE_SHADE).clamp(0, 1)


# --- the blob --------------------------------------------------------------------------------------------------------


def _flooded(seed: Tensor, open_: Tensor) -> Tensor:
    """What is reached from `seed` through `open_`, (N, H, W) of 0 and 1."""
    reached = seed * open_
    for _ in range(2 * VIEW):
        wider = functional.max_pool2d(reached[:, None], 3, stride=1, padding=1)[:, 0] * open_
        if torch.equal(wider, reached):
            break
        reached = wider
    return reached


def _blob(covers: Tensor) -> Tensor:
    """The cover of the one shape that is largest, (N, H, W)."""
    dense = functional.avg_pool2d(covers[:, None], 7, stride=1, padding=3)[:, 0]
    top = dense.flatten(1).argmax(dim=1)
    seed = functional.one_hot(top, covers[0].numel()).unflatten(1, covers.shape[1:]).float()
    seed = functional.max_pool2d(seed[:, None], 5, stride=1, padding=2)[:, 0]
    blob = _flooded(seed, (covers > 0.5).float())
    return covers * functional.max_pool2d(blob[:, None], 3, stride=1, padding=1)[:, 0]


def _filled(covers: Tensor) -> Tensor:
    """Covers without holes: what cannot be reached from the edge of the picture belongs to the shape."""
    edge = torch.ones_like(covers)
    edge[:, 1:-1, 1:-1] = 0
    free = (covers < 0.5).float()
    outside = _flooded(edge, free)
    return torch.where((free - outside) > 0, torch.ones_like(covers), covers)


__all__ = ["Outlines", "Reading", "Shape", "displacement", "path_length", "picture_distance", "reading", "stamp"]
