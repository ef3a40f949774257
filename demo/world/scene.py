"""The scenes of the small world: a coloured shape that does something in a landscape, and the caption that says so.

A `Scene` is a few words and numbers; `draw` makes its frames by formula at any size, so that a training set is a seed.
Everything is measured in pixels of a picture of 64 x 64, from its centre, x to the right and y downwards, and in frames.
`clips` makes training sets of these, `measures` reads the pictures back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

VIEW = 64  # pixels of the picture that a scene is arranged for
FRAMES = 16

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.88, 0.12, 0.12),
    "blue": (0.14, 0.25, 0.90),
    "yellow": (0.97, 0.86, 0.10),
    "purple": (0.62, 0.15, 0.72),
}
KINDS = ("ball", "box", "triangle")
SIZES: dict[str, float] = {"small": 10.5, "big": 14.5}  # radius of the circle around the shape
MOTIONS = ("rolls to the right", "rolls to the left", "bounces", "grows", "turns", "rests")
GROUNDS = ("green hill", "grey road", "brown desert")
SKY: dict[str, tuple[float, float, float]] = {
    "green hill": (0.58, 0.79, 0.95),
    "grey road": (0.98, 0.76, 0.62),
    "brown desert": (0.93, 0.90, 0.80),
}
SOIL: dict[str, tuple[float, float, float]] = {
    "green hill": (0.28, 0.62, 0.27),
    "grey road": (0.45, 0.45, 0.48),
    "brown desert": (0.67, 0.43, 0.24),
}
STRIPED_SHARE = 0.1
STRIPE = 8.0  # pixels from one dark stripe of a striped shape to the next bright one
EDGE = 1.6  # pixels of darker outline
LANDMARKS = 3  # clouds, and as many stones
SPREAD = 40.0  # how far from the centre landmarks are, at most: further than one sees, for cameras that move
ROLL = 0.6  # of the angle that a rolling shape turns without slipping: less, so that one sees a triangle turn
REST_HEIGHT = 8.0  # how far below the centre a shape stands, on average


@dataclass(frozen=True)
class Scene:
    """One scene: the words of its caption, and the numbers that the words leave open.

    Attributes:
        start: where the centre of the shape is in frame 0.
        speed: pixels a frame for shapes that roll; for the others how much of their motion they make, about 2.
        angle: of the shape in frame 0, radians.
        horizon: how far below the centre the ground begins.
        hill: x of the top of the hill or dune, its height and its half width.
        clouds: x, y and radius of each, (LANDMARKS, 3); `stones` the same, on the ground.
        phase: where in its motion a bouncing shape is in frame 0, 0 to 1.
    """

    colour: str
    kind: str
    size: str
    striped: bool
    motion: str
    ground: str
    radius: float
    start: tuple[float, float]
    speed: float
    angle: float
    horizon: float
    hill: tuple[float, float, float]
    clouds: tuple[tuple[float, float, float], ...]
    stones: tuple[tuple[float, float, float], ...]
    phase: float
    names_size: bool = True

    @property
    def caption(self) -> str:
        """For example "a big striped red ball rolls to the right over a green hill"."""
        words = [self.size] if self.names_size else []
        words += ["striped"] if self.striped else []
        return f"a {' '.join([*words, self.colour, self.kind])} {self.motion} over a {self.ground}"


def scene(random: torch.Generator, **words: str) -> Scene:
    """A random scene; `words` (colour, kind, size, motion, ground) fixes what they name."""

    def pick(choices: Sequence[str], name: str) -> str:
        chosen = choices[_below(random, len(choices))]
        return words.get(name, chosen)

    def between(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=random))

    colour, kind, size = pick(tuple(COLOURS), "colour"), pick(KINDS, "kind"), pick(tuple(SIZES), "size")
    motion, ground = pick(MOTIONS, "motion"), pick(GROUNDS, "ground")
    speed = between(1.6, 2.4)
    x = between(-20.0, 20.0)
    if motion.startswith("rolls"):  # comes in from one side, so that a single picture tells where it goes
        x = between(-30.0, -20.0) * (1.0 if motion.endswith("right") else -1.0)
    return Scene(
        colour=colour,
        kind=kind,
        size=size,
        striped=between(0, 1) < STRIPED_SHARE,
        motion=motion,
        ground=ground,
        radius=SIZES[size] * between(0.92, 1.08),
        start=(x, REST_HEIGHT + between(-3.0, 5.0)),
        speed=speed,
        angle=between(-math.pi, math.pi) if motion in ("turns", "rolls to the right", "rolls to the left") else between(-0.15, 0.15),
        horizon=between(2.0, 8.0),
        hill=(between(-30.0, 30.0), between(8.0, 18.0), between(14.0, 30.0)),
        clouds=tuple((between(-SPREAD, SPREAD), between(-SPREAD, -8.0), between(4.0, 8.0)) for _ in range(LANDMARKS)),
        stones=tuple((between(-SPREAD, SPREAD), between(14.0, SPREAD), between(1.5, 3.5)) for _ in range(LANDMARKS)),
        phase=between(0.0, 1.0),
        names_size=between(0, 1) < 0.6,
    )


def _below(random: torch.Generator, count: int) -> int:
    return int(torch.randint(count, (), generator=random))


def draw(what: Scene, frames: Sequence[float] = range(FRAMES), pixels: int = VIEW) -> Tensor:
    """The pictures of a scene, (F, pixels, pixels, 3), values 0 to 1.

    Args:
        frames: the times to draw, in frames; 16 from 0 on make a clip as the motion module is trained on.
        pixels: side of the picture. More than `VIEW` shows more of the landscape, not a larger shape.
    """
    time = torch.tensor([float(frame) for frame in frames])[:, None, None]
    line = torch.arange(pixels, dtype=torch.float32) + 0.5 - pixels / 2
    x, y = line[None, None, :], line[None, :, None]
    picture = _landscape(what, x, y)[None].expand(len(time), -1, -1, -1)
    return _shape(what, picture, x, y, time).clamp(0.0, 1.0)


def _landscape(what: Scene, x: Tensor, y: Tensor) -> Tensor:
    """Sky with clouds and ground with stones, (pixels, pixels, 3)."""
    x, y = x[0], y[0]
    sky, soil = torch.tensor(SKY[what.ground]), torch.tensor(SOIL[what.ground])
    fade = (y / VIEW).clamp(-0.6, 0.6)
    picture = (sky - 0.25 * fade[..., None] * torch.tensor((0.6, 0.3, -0.2))).expand(len(y), x.shape[1], 3)
    for cx, cy, radius in what.clouds:
        cloud = _cover(torch.hypot((x - cx) / 1.8, y - cy) - radius, soft=2.0)
        picture = _over(picture, sky * 0.4 + 0.6, cloud)
    top, height, width = what.hill
    rise = what.horizon - (0.0 if what.ground == "grey road" else height * 0.9) * torch.exp(-(((x - top) / width) ** 2))
    picture = _over(picture, soil - 0.12 * fade[..., None], _cover(rise - y, soft=1.0))
    dark, bright = soil * 0.68, soil * 0.5 + 0.5
    for cx, cy, radius in what.stones:
        if what.ground == "grey road":  # dashes of the road's marking, all on one line
            stone = torch.maximum((x - cx).abs() - 5.0, (y - 21.0).abs() - 1.2)
            picture = _over(picture, bright, _cover(stone, soft=1.0))
        else:
            picture = _over(picture, dark, _cover(torch.hypot(x - cx, y - cy) - radius, soft=1.0))
    return picture


def _shape(what: Scene, picture: Tensor, x: Tensor, y: Tensor, time: Tensor) -> Tensor:
    """The pictures with the shape in them."""
    cx, cy, radius, angle = (value[:, None, None] for value in path(what, time[:, 0, 0]).unbind(dim=1))
    dx, dy = x - cx, y - cy
    u, v = dx * angle.cos() + dy * angle.sin(), dy * angle.cos() - dx * angle.sin()
    if what.kind == "ball":
        distance = torch.hypot(u, v) - radius
    elif what.kind == "box":
        distance = torch.maximum(u.abs(), v.abs()) - 0.82 * radius
    else:
        directions = [math.pi / 2 + index * 2 * math.pi / 3 for index in range(3)]
        sides = [u * math.cos(turn) + v * math.sin(turn) for turn in directions]
        distance = torch.stack(sides).amax(dim=0) - 0.68 * radius
    colour = torch.tensor(COLOURS[what.colour])
    inner = colour.expand(*distance.shape, 3)
    if what.striped:
        wave = torch.sin(u * (math.pi / STRIPE)).mul(3.0).clamp(-1, 1)[..., None]
        inner = inner * (0.72 + 0.28 * wave)
    inner = _over(colour * 0.55, inner, _cover(distance + EDGE, soft=1.0))
    return _over(picture, inner, _cover(distance, soft=1.0))


def path(what: Scene, time: Tensor) -> Tensor:
    """Where the shape is at each time: x, y of its centre, its radius and its angle, (F, 4)."""
    x, y = what.start
    still = torch.zeros_like(time)
    radius, angle = still + what.radius, still + what.angle
    cx, cy = still + x, still + y
    if what.motion.startswith("rolls"):
        way = what.speed * time * (1.0 if what.motion.endswith("right") else -1.0)
        cx, angle = cx + way, angle + ROLL * way / what.radius
    elif what.motion == "bounces":
        height = 9.0 * what.speed
        cy = cy + 4.0 - height * torch.sin(math.pi * (time / 12.0 + what.phase)).abs()
    elif what.motion == "grows":
        radius = radius * (0.55 + 0.06 * what.speed / 2.0 * time)
    elif what.motion == "turns":
        angle = angle + 0.11 * what.speed * time
    return torch.stack((cx, cy, radius, angle), dim=1)


def _cover(distance: Tensor, soft: float) -> Tensor:
    """How much of each pixel lies inside, 0 to 1, for a signed distance in pixels that is negative inside."""
    return (0.5 - distance / soft).clamp(0.0, 1.0)[..., None]


def _over(below: Tensor, above: Tensor, cover: Tensor) -> Tensor:
    return below + cover * (above - below)
