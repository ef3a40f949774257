"""What the small world learns from clips: domain adapter, motion module and camera LoRAs, by this pack's own training.

The recipe is the paper's (arXiv 2307.04725, sections 4.1 to 4.3): the clips carry a stamp that pictures do not; the adapter learns
it, and the motion module and a motion LoRA for each camera move are trained with the adapter on.
`train` calls it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import files
from .clips import WIDE, clips, stamped, to_bytes
from .pack import pack
from .place import Place, finished
from .scene import FRAMES, VIEW, Scene, draw, scene
from .studio import Studio

pack()
from animatediff_native.sampling.modules.domain_adapter import with_domain_adapter  # noqa: E402
from animatediff_native.sampling.modules.load import load_motion_module  # noqa: E402
from animatediff_native.training.clips.camera import CAMERA_MOVES, camera_clip, camera_move  # noqa: E402
from animatediff_native.training.loop.settings import TrainingSettings  # noqa: E402
from animatediff_native.training.loop.state import digest_of  # noqa: E402
from animatediff_native.training.loop.watch import Trained  # noqa: E402
from animatediff_native.training.stages.domain_adapter import train_domain_adapter  # noqa: E402
from animatediff_native.training.stages.motion_lora import train_motion_lora  # noqa: E402
from animatediff_native.training.stages.motion_module import train_motion_module  # noqa: E402

SEED = 41
FIRST = 4  # clips that tell whether those that were kept are drawn as they are now
ADAPTER_RANK = 16  # of 64 channels; the public adapter has 128 of 320 to 1280
ADAPTER = TrainingSettings(
    steps=400, batch_size=8, learning_rate=2e-3, training_dtype="fp32", warm_up=20, schedule="cosine", noise_bias=2.0, min_snr=5.0, debias=0.6,
    average=0.98,
)  # fmt: skip
MOTION = TrainingSettings(
    steps=6000,
    batch_size=4,
    learning_rate=1e-3,
    training_dtype="fp32",
    warm_up=100,
    schedule="cosine",
    noise_bias=2.0,  # frames agree and things move, or do not, at high noise, where the loss is smallest
    min_snr=5.0,
    debias=0.6,
    average=0.998,
    caption_dropout=0.1,
)
CAMERA_RANK = 16
CAMERA = TrainingSettings(
    steps=1200, batch_size=4, learning_rate=4e-3, training_dtype="fp32", warm_up=10, schedule="cosine", noise_bias=2.0, min_snr=5.0, debias=0.6,
    reversal=0.5,
)  # fmt: skip
CAMERA_AMOUNTS = {"pan": 0.45, "tilt": 0.35, "zoom": 0.5, "roll": 0.5}
"""How far a camera goes in a clip: in pictures, times larger or smaller less one, and quarter turns."""
CAMERA_STRENGTHS = {"zoom": (0.5, 1.0, 1.5)}
"""Shares of `CAMERA_AMOUNTS` by which clips move, turn by turn, and strengths of the LoRA at them; 1 where there are none. A zoom that is
learnt by one amount alone is nearly as fast at half the strength, and no faster at more."""
OPPOSITES = dict(zip(CAMERA_MOVES[::2], CAMERA_MOVES[1::2], strict=True))
"""Every second camera move, and the one that it is backwards."""
FILMED_SHARE = 0.5
"""Of the clips in which no shape rolls, those that a moving camera takes."""
LEAST_FILMED = 0.4
"""Share of `CAMERA_AMOUNTS` that these cameras move at least."""

SPARSE = TrainingSettings(
    steps=1000, batch_size=4, learning_rate=8e-4, training_dtype="fp32", warm_up=50, schedule="cosine", noise_bias=2.0, min_snr=5.0, debias=0.5,
    average=0.995, caption_dropout=0.1,
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """How much is trained, and where the files of finished stages are.

    Attributes:
        clips: for the adapter, the motion module and SparseCtrl.
        camera_clips: for each pair of camera moves.
        moves: that are trained, and their opposites.
    """

    weights: Path = files.WEIGHTS
    clips: int = 2400
    camera_clips: int = 240
    moves: Mapping[str, str] = field(default_factory=lambda: OPPOSITES)
    adapter: TrainingSettings = ADAPTER
    motion: TrainingSettings = MOTION
    camera: TrainingSettings = CAMERA
    sparse: TrainingSettings = SPARSE

    def file(self, name: str) -> Path:
        return self.weights / f"{name}.safetensors"


@dataclass(frozen=True)
class Data:
    """Clips as a training takes them."""

    latents: list[Tensor]
    positive: list[Any]


def many_clips(studio: Studio, place: Place, name: str, count: int, stamp: bool = True) -> Data:
    """The clips of the motion module, with the stamp or without; latents are kept in a file."""
    cache = place.state / f"{name}.pt"
    first = filmed(*clips(FIRST, SEED), SEED)
    made_of = digest_of([("drawn", first), *sorted(studio.autoencoder.items())]) + f" {count} {stamp}"
    stored = place.processes.in_turn(lambda: files.kept(cache, made_of, lambda: _encoded(studio, count, stamp)))
    return Data(list(stored["latents"]), [studio.prompt(caption) for caption in stored["captions"]])


def _encoded(studio: Studio, count: int, stamp: bool) -> dict[str, Any]:
    latents, captions = [], []
    for part in range(0, count, 100):
        frames, scenes = clips(min(100, count - part), SEED + part)
        frames = filmed(frames, scenes, SEED + part)
        latents += studio.latents(stamped(frames) if stamp else frames)
        captions += [what.caption for what in scenes]
    return {"latents": torch.stack(latents), "captions": captions}


def filmed(frames: Tensor, scenes: Sequence[Scene], seed: int) -> Tensor:
    """Clips (N, F, 64, 64, 3) as bytes, some of which a moving camera has taken, as real videos are.

    A module that has seen cameras move all ways needs little to learn one of them, and its opposite by a negative strength. Where a
    shape rolls the camera stands, so that what the caption says is what is seen.
    """
    random = torch.Generator().manual_seed(seed + 1)
    made = frames.clone()
    for index, what in enumerate(scenes):
        moves, amount, there = int(torch.randint(len(CAMERA_MOVES), (), generator=random)), *torch.rand(2, generator=random).tolist()
        if there < FILMED_SHARE and not what.motion.startswith("rolls"):
            made[index] = seen_by_camera(what, CAMERA_MOVES[moves], LEAST_FILMED + (1 - LEAST_FILMED) * amount)
    return made


def seen_by_camera(what: Scene, move: str, share: float = 1.0, even: bool = False) -> Tensor:
    """The clip (F, 64, 64, 3) as bytes that a camera takes of a scene wider than the picture, with a share of `CAMERA_AMOUNTS`.

    Args:
        even: things are on average as large as without a camera. A LoRA that is shown zooms that begin at the usual size learns
            that things are large as well: what it then adds at more strength is size, and not zoom.
    """
    kind = move.split()[0]
    path = camera_move(move, share * CAMERA_AMOUNTS[kind], FRAMES)
    if even and kind == "zoom":
        zoom = camera_move(move, CAMERA_AMOUNTS[kind], FRAMES).zoom
        path = replace(path, zoom=(zoom / zoom.log().mean().exp()) ** share)  # a share of a zoom, see share_of_move
    return to_bytes(camera_clip(draw(what, pixels=WIDE), path, (VIEW, VIEW), scale=1.0))


def train(stage: str, place: Place, plan: Plan = Plan()) -> None:
    """Run one of the stages after `image`, on the files of those before it, and write its files."""
    studio = Studio.of(files.checkpoint(plan.weights))
    if stage == "adapter":
        export(adapter(studio, place, plan), "domain_adapter", place, plan, plan.adapter)
    elif stage == "motion":
        export(motion_module(studio, place, plan), "motion_module", place, plan, plan.motion)
    elif stage == "camera":
        camera_loras(studio, place, plan)
    else:
        from . import sparse

        sparse.train(studio, place, plan)


def export(trained: Trained, name: str, place: Place, plan: Plan, settings: TrainingSettings) -> None:
    """Write the file of a finished stage."""
    finished(name, trained.steps, settings)
    place.export(trained.tensors, name, plan.weights, trained.metadata)


def adapter(studio: Studio, place: Place, plan: Plan) -> Trained:
    """Stage 1: a LoRA of the image model that learns what the clips look like."""
    data = many_clips(studio, place, "clips", plan.clips)
    run = place.run(studio, "adapter")
    return train_domain_adapter(studio.model, data.latents, data.positive, place.share(plan.adapter), ADAPTER_RANK, 8, run)


def motion_module(studio: Studio, place: Place, plan: Plan) -> Trained:
    """Stage 2: all temporal weights, from nothing, on the frozen image model with the adapter on."""
    data = many_clips(studio, place, "clips", plan.clips)
    adapted, _ = with_domain_adapter(studio.model, plan.file("domain_adapter"), 1.0)
    return train_motion_module(adapted, data.latents, data.positive, place.share(plan.motion), run=place.run(studio, "motion"))


def camera_loras(studio: Studio, place: Place, plan: Plan) -> None:
    """Stage 3: motion LoRAs for the camera moves, on clips that a moving crop makes.

    They carry the stamp and the adapter is on, as for the motion module: how the camera moves is then all that is new in them. Half of
    them are shown backwards at strength -1, so that a LoRA learns a move and its opposite, whose file is the same with its sign turned.
    """
    motion = load_motion_module(plan.file("motion_module"))
    adapted, _ = with_domain_adapter(studio.model, plan.file("domain_adapter"), 1.0)
    for number, (move, opposite) in enumerate(plan.moves.items()):
        place.report(f"{move}, and {opposite}")
        run = place.run(studio, file_name(move))
        strengths = camera_strengths(move, plan.camera_clips)
        data = camera_data(studio, move, strengths, SEED + 1000 * (number + 1))
        settings = place.share(plan.camera)
        trained = train_motion_lora(adapted, motion, data.latents, data.positive, settings, CAMERA_RANK, run, strengths)
        export(trained, file_name(move), place, plan, plan.camera)
        export(mirrored(trained), file_name(opposite), place, plan, plan.camera)


def mirrored(lora: Trained) -> Trained:
    """The LoRA that does at 1 what the other does at -1."""
    tensors = {key: -tensor if key.endswith("up.weight") else tensor for key, tensor in lora.tensors.items()}
    return replace(lora, tensors=tensors)


def file_name(move: str) -> str:
    """For example "motion_lora_pan_left"."""
    return f"motion_lora_{move.replace(' ', '_')}"


def camera_strengths(move: str, count: int) -> list[float]:
    """The share of its amount by which each clip of a move goes."""
    strengths = CAMERA_STRENGTHS.get(move.split()[0], (1.0,))
    return [strengths[index % len(strengths)] for index in range(count)]


def camera_data(studio: Studio, move: str, strengths: Sequence[float], seed: int) -> Data:
    """Clips in which a camera makes one move over scenes wider than the picture, in which nothing moves: as Camera Clips makes them of
    pictures, but for zooms, which go as far below the usual size as above it."""
    random = torch.Generator().manual_seed(seed)
    scenes = [scene(random, motion="rests") for _ in strengths]
    moved = stamped(torch.stack([seen_by_camera(what, move, share, even=True) for what, share in zip(scenes, strengths, strict=True)]))
    return Data(studio.latents(moved), [studio.prompt(what.caption) for what in scenes])
