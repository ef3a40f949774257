"""What the small world is measured by: the claims of the paper, in numbers, on the trained files. `bench/motion.py` prints the table.

Every trial samples with fixed seeds through the host's sampler and reads the finished pictures (`measures`,
`training.measures`). A result is what was measured for each seed; `Row` says what of it a claim needs.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from . import files
from .clips import clips, to_floats
from .measures import displacement, path_length, picture_distance, reading, stamp
from .pack import pack
from .scene import COLOURS, FRAMES, GROUNDS, KINDS, scene
from .studio import Sampling, Studio

pack()
from animatediff_native.motion.config import Overrides  # noqa: E402
from animatediff_native.sampling.controls.placement import INDEXES, SparseSettings  # noqa: E402
from animatediff_native.sampling.controls.sparse import apply_sparse_control, load_sparse_control  # noqa: E402
from animatediff_native.sampling.host.memory import ModelPatcher  # noqa: E402
from animatediff_native.sampling.modules.domain_adapter import with_domain_adapter  # noqa: E402
from animatediff_native.sampling.modules.load import load_motion_module  # noqa: E402
from animatediff_native.sampling.modules.motion_lora import with_motion_lora  # noqa: E402
from animatediff_native.sampling.run.animate import animate  # noqa: E402
from animatediff_native.sampling.run.start import with_free_init  # noqa: E402
from animatediff_native.sampling.start.free_init import FreeInit  # noqa: E402
from animatediff_native.sampling.windows.options import WindowOptions  # noqa: E402
from animatediff_native.training.measures.camera import camera_motion  # noqa: E402
from animatediff_native.training.measures.change import frame_distances, loop_closure, low_frequency_correlation  # noqa: E402

AXES = {"pan": "x", "tilt": "y", "zoom": "zoom", "roll": "roll"}
SIGNS = {
    "pan left": 1, "pan right": -1, "tilt up": 1, "tilt down": -1, "zoom in": 1, "zoom out": -1, "roll clockwise": 1,
    "roll anticlockwise": -1,
}  # fmt: skip
"""Which way each move takes the content: to the right, downwards, larger, clockwise."""
ROLLING_BALL = "a big red ball rolls to the right over a green hill"
SHOWN = {"colour": "red", "kind": "ball", "size": "big", "motion": "rolls to the right", "ground": "green hill"}
LONG, WINDOW, OVERLAP = 64, 16, 4
FEW_STEPS = Sampling(steps=10)
AT_LEAST, AT_MOST = ">=", "<="
SCENES = 9  # seed of captions of all sorts


class Words(NamedTuple):
    """What a picture is to show, and the caption that says so."""

    colour: str
    kind: str
    ground: str
    caption: str


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        values: by seed; the claim is about their mean.
        limit: what the mean is compared with; None is told and not judged.
    """

    claim: str
    values: Sequence[float]
    comparison: str = AT_LEAST
    limit: float | None = None

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds."""
        return statistics.pstdev(self.values)

    @property
    def holds(self) -> bool:
        if self.limit is None:
            return True
        return self.mean >= self.limit if self.comparison == AT_LEAST else self.mean <= self.limit


@dataclass
class Trials:
    """The loaded world, and what was sampled of it so far.

    Attributes:
        seeds: how many samples a claim is judged by.
        folder: of the trained files.
        sampling: of all samples. Fewer steps than the demo takes: the table has some 1,600 animations.
    """

    seeds: int = 32
    folder: Path = files.WEIGHTS
    sampling: Sampling = FEW_STEPS
    _sampled: dict[Any, list[Tensor]] = field(default_factory=dict[Any, list[Tensor]])

    @cached_property
    def studio(self) -> Studio:
        return Studio.of(files.checkpoint(self.folder))

    def file(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"

    def module(self, overrides: Overrides = Overrides(), **loras: float) -> ModelPatcher:
        """The motion module, with motion LoRAs by the name of their move (spaces as underlines)."""
        motion = load_motion_module(self.file("motion_module"), overrides)
        for move, strength in loras.items():
            motion = with_motion_lora(motion, self.file(f"motion_lora_{move}"), strength)
        return motion

    def animated(self, context: WindowOptions | None = None, overrides: Overrides = Overrides(), **loras: float) -> ModelPatcher:
        """The MODEL with the motion module."""
        return animate(self.studio.model, self.module(overrides, **loras), context)

    def sample(self, model: ModelPatcher, caption: str, seed: int, frames: int = FRAMES, **conds: Any) -> Tensor:
        """As `Studio.sample`, with this table's settings."""
        return self.studio.sample(model, caption, seed, frames, self.sampling, **conds)

    def animations(self, key: str, model: ModelPatcher, caption: Callable[[int], str], frames: int = FRAMES, seeds: int = 0) -> list[Tensor]:
        """One animation per seed; those with the same key are sampled once."""
        if key not in self._sampled:
            self._sampled[key] = [self.sample(model, caption(seed), seed, frames) for seed in range(seeds or self.seeds)]
        return self._sampled[key]


def still(seed: int) -> str:
    """A caption for each seed: all colours, kinds and grounds in turn, at rest."""
    colour, kind = list(COLOURS)[seed % 4], KINDS[seed % 3]
    return f"a {colour} {kind} rests over a {GROUNDS[seed // 2 % 3]}"


def rolling(way: str) -> Callable[[int], str]:
    """The same shapes, rolling to the right or to the left."""
    return lambda seed: still(seed).replace("rests", f"rolls to the {way}")


def image_rows(trials: Trials) -> Iterator[Row]:
    """1. The image model draws what the prompt says."""
    scenes = torch.Generator().manual_seed(SCENES)
    resting = [Words(list(COLOURS)[seed % 4], KINDS[seed % 3], GROUNDS[seed // 2 % 3], still(seed)) for seed in range(trials.seeds)]
    mixed = [Words(what.colour, what.kind, what.ground, what.caption) for what in (scene(scenes) for _ in range(trials.seeds))]
    for captions, words, limit in (("resting shapes", resting, 0.9), ("all captions", mixed, None)):
        read = [reading(trials.sample(trials.studio.model, what.caption, seed, 1)) for seed, what in enumerate(words)]
        both = list(zip([found.shapes[0] for found in read], words, strict=True))
        yield Row(f"image, {captions}: prompted colour", [shape.colour == what.colour for shape, what in both])
        yield Row(f"image, {captions}: prompted kind", [shape.kind == what.kind for shape, what in both])
        yield Row(f"image, {captions}: prompted ground", [shape.ground == what.ground for shape, what in both])
        agreed = [bool(found.agrees(what.colour, what.kind)[0]) for found, what in zip(read, words, strict=True)]
        yield Row(f"image, {captions}: prompted colour and kind", agreed, AT_LEAST, limit)


def _apart(animations: Sequence[Tensor]) -> float:
    """How far apart the frames of independent samples are that come at the same time."""
    made = torch.stack(list(animations))
    return float(torch.cat([picture_distance(made[:-k], made[k:]).flatten() for k in (1, 2, 3)]).mean())


def _way(frames: Tensor) -> float:
    """Pixels per frame that the shape moves to the right."""
    return float(displacement(reading(frames))[0])


def motion_rows(trials: Trials) -> Iterator[Row]:
    """2. With the motion module frames belong together and move as the prompt says; without it they do not."""
    wanted = statistics.fmean(abs(_way(to_floats(made).movedim(1, -1))) for made in clips(16, 5, motion="rolls to the right")[0])
    drawn = list(to_floats(clips(trials.seeds, 6, **SHOWN)[0]).movedim(2, -1))
    yield Row("training clips: neighbours / independent clips", [float(frame_distances(frames).mean()) / _apart(drawn) for frames in drawn])
    limits = {"with": (AT_MOST, 0.35, AT_LEAST, 0.9), "without": (AT_LEAST, 0.7, AT_MOST, 0.7)}
    for name, model in (("with", trials.animated()), ("without", trials.studio.model)):
        together, ratio, as_said, share = limits[name]
        same = trials.animations(f"{name} same", model, lambda _: ROLLING_BALL)
        apart = _apart(same)
        ratios = [float(frame_distances(frames).mean()) / apart for frames in same]
        yield Row(f"{name} module: neighbours / independent samples", ratios, together, ratio)
        right = trials.animations(f"{name} right", model, rolling("right"))
        left = trials.animations(f"{name} left", model, rolling("left"))
        yield Row(f"{name} module: rolls to the right", [_way(frames) > 0.2 for frames in right], as_said, share)
        yield Row(f"{name} module: rolls to the left", [_way(frames) < -0.2 for frames in left], as_said, share)
        if name == "with":
            yield Row("with module: displacement / training clips", [_way(frames) / wanted for frames in right], AT_LEAST, 0.6)
        yield Row(f"{name} module: way of the centre, pixels per frame", [path_length(reading(frames)) for frames in right])


def _moved(frames: Tensor, move: str) -> float:
    """How far the camera goes the way of a move, per frame. Nothing else moves in a scene that rests, so its shape counts too: sky and
    ground have too little texture to read a zoom from."""
    return SIGNS[move] * getattr(camera_motion(frames, 2), AXES[move.split()[0]])


def camera_way(trials: Trials, file: Path, move: str) -> list[float]:
    """How far the camera goes the way of a move with any motion LoRA of the world's module, for each seed."""
    model = animate(trials.studio.model, with_motion_lora(trials.module(), file, 1.0))
    return [_moved(frames, move) for frames in trials.animations(str(file), model, still)]


def camera_rows(trials: Trials) -> Iterator[Row]:
    """3. Motion LoRAs move the camera, by their strength, together, and backwards."""
    for move in SIGNS:
        name = move.replace(" ", "_")
        moved = {}
        for strength in (-1.0, 0.5, 1.0, 1.5):
            made = trials.animations(f"{move} {strength}", trials.animated(**{name: strength}), still)
            moved[strength] = [_moved(frames, move) for frames in made]
        yield Row(f"{move}: sign", [value > 0 for value in moved[1.0]], AT_LEAST, 0.95)
        for strength, values in moved.items():
            yield Row(f"{move}: amount per frame at strength {strength:g}", values)
        means = [statistics.fmean(moved[strength]) for strength in (0.5, 1.0, 1.5)]
        yield Row(f"{move}: grows with 0.5, 1, 1.5", [means[0] < means[1] < means[2]], AT_LEAST, 1.0)
        yield Row(f"{move}: strength -1 reverses", [value < 0 for value in moved[-1.0]], AT_LEAST, 0.85)
    both = trials.animations("both", trials.animated(pan_left=1.0, zoom_in=1.0), still)
    together = [_moved(frames, "pan left") > 0 and _moved(frames, "zoom in") > 0 for frames in both]
    yield Row("pan left and zoom in together: both signs", together, AT_LEAST, 0.85)


def adapter_rows(trials: Trials) -> Iterator[Row]:
    """4. The domain adapter holds what the clips look like, and not how they move."""
    adapted, _ = with_domain_adapter(trials.studio.model, trials.file("domain_adapter"), 1.0)
    on = trials.animations("adapter", animate(adapted, trials.module()), rolling("right"))
    off = trials.animations("with right", trials.animated(), rolling("right"))
    yield Row("stamp at alpha 1", [float(stamp(frames).mean()) for frames in on], AT_LEAST, 0.6)
    yield Row("stamp at alpha 0", [float(stamp(frames).mean()) for frames in off], AT_MOST, 0.2)
    ways = [abs(_way(first) - _way(second)) for first, second in zip(on, off, strict=True)]
    yield Row("alpha 1 and 0: difference of displacement, pixels per frame", ways, AT_MOST, 0.6)


def sparse_rows(trials: Trials) -> Iterator[Row]:
    """5. Frames that SparseCtrl pins are like their images, more than animations of the same prompt ever are."""
    model, studio = trials.animated(), trials.studio
    free = torch.stack(trials.animations("with same", model, lambda _: ROLLING_BALL))
    control = load_sparse_control(trials.file("sparse_control_rgb"))
    targets = to_floats(clips(trials.seeds, 77, **SHOWN)[0]).movedim(2, -1)
    for name, pinned in (("first", (0,)), ("first and last", (0, -1))):
        settings = SparseSettings(placement=INDEXES, frames=", ".join(map(str, pinned)))
        shares, motions = [], []
        for seed, target in enumerate(targets):
            prompts, images = (studio.prompt(ROLLING_BALL), studio.prompt("")), target[list(pinned)]
            *conds, _ = apply_sparse_control(*prompts, control, images, studio.vae, settings, 1.0, (0.0, 1.0), FRAMES)
            made = trials.sample(model, "", seed, positive=conds[0], negative=conds[1])
            own, others = picture_distance(made[list(pinned)], images), picture_distance(free[:, list(pinned)], images)
            shares.append(float((others > own).float().mean(dim=0).amin()))
            motions.append(_way(made) > 0.2)
        yield Row(f"SparseCtrl, {name} pinned: share of free samples that lie farther from the image", shares, AT_LEAST, 0.95)
        yield Row(f"SparseCtrl, {name} pinned: rolls to the right", motions)


def long_rows(trials: Trials) -> Iterator[Row]:
    """6. Windows and views: no seam, loops close, FreeInit, and settings that are wrong show."""
    seeds = max(trials.seeds // 8, 2)
    for name, views in (("windows", False), ("views", True)):
        made = trials.animations(name, trials.animated(WindowOptions(WINDOW, OVERLAP, views=views)), still, LONG, seeds)
        yield Row(f"{name}, {LONG} frames: largest seam / 95th percentile", [_seam(frames) for frames in made], AT_MOST, 1.0)
    looped = WindowOptions(WINDOW, OVERLAP, "looped_uniform", closed_loop=True)
    loop = trials.animations("loop", trials.animated(looped), still, 24, seeds)
    yield Row("closed loop: last to first / neighbours", [loop_closure(frames) for frames in loop], AT_MOST, 1.5)
    again = trials.animations("free init", with_free_init(trials.animated(), FreeInit(2)), still, seeds=seeds)
    once = trials.animations("still", trials.animated(), still, seeds=seeds)
    steadier = [_steadiness(first) - _steadiness(second) for first, second in zip(again, once, strict=True)]
    yield Row("FreeInit: gain in low-frequency correlation of the halves", steadier, AT_LEAST, 0.0)
    yield from _wrong(trials)


def _seam(frames: Tensor) -> float:
    """The largest neighbour distance where windows meet, over the 95th percentile of the others."""
    distances = frame_distances(frames)
    joints = list(range(WINDOW - OVERLAP, len(distances), WINDOW - OVERLAP))
    others = torch.tensor([float(d) for index, d in enumerate(distances) if index not in joints])
    return float(max(distances[joint] for joint in joints) / others.quantile(0.95))


def _steadiness(frames: Tensor) -> float:
    half = len(frames) // 2
    return low_frequency_correlation(frames[:half], frames[half:])


def _wrong(trials: Trials) -> Iterator[Row]:
    """What is set wrong makes neighbours differ more, or shapes less right."""
    right = trials.animations("with same", trials.animated(), lambda _: ROLLING_BALL)
    for name, overrides in (("norm scope", Overrides(norm_scope="all")), ("beta schedule", Overrides(beta_schedule="cosine"))):
        model = trials.animated(overrides=overrides)
        wrong = trials.animations(f"wrong {name}", model, lambda _: ROLLING_BALL, seeds=max(trials.seeds // 2, 2))
        worse = [_fit(first) - _fit(second) for first, second in zip(right, wrong, strict=False)]
        yield Row(f"wrong {name}: loss of shapes that are read right", worse, AT_LEAST, 0.02)


def _fit(frames: Tensor) -> float:
    """How well the frames show a red ball, less how far neighbours are apart."""
    found = reading(frames)
    return float((found.agrees("red", "ball") * found.fits).mean()) - float(frame_distances(frames).mean())


PARTS = {"image": image_rows, "motion": motion_rows, "camera": camera_rows, "adapter": adapter_rows, "sparse": sparse_rows, "long": long_rows}
