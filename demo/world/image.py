"""The image model of the small world: UNet and text encoder, trained together on single pictures. `train` calls it.

Pictures alone teach a text encoder nothing about words that hardly show in them, such as left and right of what rolls. CLIP's, which
SD1.5 has, was trained to tell captions apart; this one learns the motions in the same way beside its pictures (`motions_told`), or no
motion module could follow a prompt. Where things are is decided at high noise, so half of a batch is drawn there. AnimateDiff's modules
bring another noise schedule than SD1.5's; a large model is hardly thrown off by it, this one is shown both (the error of the noise at step
800 was 1.7 times as large with the modules' schedule when it had seen only SD1.5's).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from comfy.taesd.taesd import TAESD
from torch import Tensor, nn
from torch.nn import functional

from .autoencoder import SD15_SCALE
from .clips import pictures, to_floats
from .files import image_state, kept
from .networks import TEXT_CONFIG, TEXT_WIDTH, Words, unet
from .place import Place, digest_of, fitting, mixed_precision
from .scene import MOTIONS

BATCH = 64
SETTINGS = fitting(steps=11000, learning_rate=8e-4)
PICTURES, SEED = 20000, 21
FIRST = 16  # pictures that tell whether those that were kept are drawn as they are now
NO_CAPTION = 0.12  # share of the pictures that are shown without their caption, for guidance
HIGH_NOISE = 3.0  # half of a batch has noise levels drawn as the root of this order of even ones
RISE = 0.7  # power of the noise-to-signal ratio with which that half counts
TELLING, SHARPNESS, DIRECTIONS_SEED = 0.05, 1.5, 3  # the weight of the loss that tells motions apart, and how sharply it does
NOT_TOLD = -100  # what cross-entropy leaves out
MOST_WEIGHT = 5.0  # signal-to-noise ratio above which a noise level counts no more (min-SNR weighting, arXiv 2303.09556)


class ImageModel(nn.Module):
    """UNet and text encoder."""

    def __init__(self, captions: list[str]) -> None:
        super().__init__()
        self.unet = unet()
        self.words = Words(captions)


def signal_shares() -> Tensor:
    """The cumulative alphas of SD1.5's schedule and of the one that AnimateDiff's modules for it have, (2, 1000)."""
    sd15 = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    modules = torch.linspace(0.00085, 0.012, 1000, dtype=torch.float64)
    return torch.cumprod(1.0 - torch.stack((sd15, modules)), dim=1).float()


def noised(latents: Tensor, share: Tensor, noise: Tensor) -> Tensor:
    """Latents (N, 4, h, w) of which a share (N,) of the power is left, with noise."""
    share = share[:, None, None, None]
    return share.sqrt() * latents + (1.0 - share).sqrt() * noise


class Levels(NamedTuple):
    """Noise levels of N pictures, all (N,): steps of the schedule, shares of the signal that are left, how much the loss at each counts."""

    step: Tensor
    share: Tensor
    counts: Tensor


def noise_levels(count: int, random: torch.Generator) -> Levels:
    """Noise levels, one half drawn evenly, the other at high noise; each from one of the two schedules."""
    even = torch.randint(1000, (count // 2,), generator=random)
    high = (1000 * torch.rand(count - count // 2, generator=random) ** (1.0 / HIGH_NOISE)).long().clamp(max=999)
    step = torch.cat((even, high))
    share = signal_shares()[torch.randint(2, (count,), generator=random), step]
    ratio = share / (1.0 - share)
    rise = torch.where(torch.arange(count) < count // 2, 1.0, ratio.clamp(max=1.0) ** -RISE)
    return Levels(step, share, rise * ratio.clamp(max=MOST_WEIGHT) / ratio)


def motion_numbers(captions: Sequence[str]) -> Tensor:
    """Which of `MOTIONS` each caption names, (N,); `NOT_TOLD` for one that names none."""
    return torch.tensor([next((number for number, motion in enumerate(MOTIONS) if motion in caption), NOT_TOLD) for caption in captions])


def motions_told(text: Tensor, tokens: Tensor, motions: Tensor) -> Tensor:
    """How far the words after a caption are from telling its motion, one number: cross-entropy along fixed directions.

    Args:
        text: (N, 77, TEXT_WIDTH) of tokens (N, 77), whose end is repeated up to the last.
        motions: as from `motion_numbers`.
    """
    random = torch.Generator().manual_seed(DIRECTIONS_SEED)
    directions = torch.linalg.qr(torch.randn(TEXT_WIDTH, TEXT_WIDTH, generator=random))[0][: len(MOTIONS)]
    after = (tokens == TEXT_CONFIG["eos_token_id"]) & (motions != NOT_TOLD)[:, None]
    scores, wanted = SHARPNESS * text @ directions.T, motions[:, None].expand_as(tokens)
    return functional.cross_entropy(scores[after], wanted[after])


def train(place: Place, autoencoder: dict[str, Tensor]) -> dict[str, Tensor]:
    """Train to the end, or go on where an earlier run stopped; returns the tensors as `files.export` takes them."""
    latents, captions = _data(place, autoencoder)
    model, batch = ImageModel(captions), place.part(BATCH)
    tokens, motions = model.words.tokens([*captions, ""]), motion_numbers([*captions, ""])

    def loss(random: torch.Generator) -> Tensor:
        chosen = torch.randint(len(latents), (batch,), generator=random)
        levels = noise_levels(batch, random)
        noise = torch.randn(batch, *latents.shape[1:], generator=random)
        untold = torch.rand(batch, generator=random) < NO_CAPTION
        caption = torch.where(untold, len(tokens) - 1, chosen)
        noisy = noised(latents[chosen], levels.share, noise)
        distinct, which = tokens[caption].unique(dim=0, return_inverse=True)
        text = model.words(distinct)
        named = torch.full((len(distinct),), NOT_TOLD).scatter(0, which, motions[caption])
        with mixed_precision():
            found = model.unet(noisy, levels.step.float(), context=text[which])
        error = (found.float() - noise).square().mean(dim=(1, 2, 3))
        return (levels.counts * error).mean() + TELLING * motions_told(text, distinct, named)

    return image_state(place.fit("image", model, loss, SETTINGS, [latents]), model.words.known)


def _data(place: Place, autoencoder: dict[str, Tensor]) -> tuple[Tensor, list[str]]:
    """The latents of the training pictures with deviation 1, (N, 4, 8, 8), and their captions."""

    def encoded() -> dict[str, Any]:
        frames, captions = pictures(PICTURES, SEED)
        return {"latents": encode(autoencoder, frames), "captions": captions}

    made_of = digest_of([("drawn", pictures(FIRST, SEED)[0]), *sorted(autoencoder.items())]) + f" {PICTURES}"
    stored = place.processes.in_turn(lambda: kept(place.state / "pictures.pt", made_of, encoded))
    return stored["latents"], stored["captions"]


def encode(autoencoder: dict[str, Tensor], frames: Tensor) -> Tensor:
    """Pictures (N, 64, 64, 3) as bytes -> latents (N, 4, 8, 8) as the UNet takes them."""
    net = TAESD(latent_channels=4)
    net.load_state_dict(autoencoder)
    net.to(memory_format=torch.channels_last)
    with torch.inference_mode(), mixed_precision():
        parts = [net.encode(to_floats(part) * 2 - 1).float() * SD15_SCALE for part in frames.split(64)]
    return torch.cat(parts).clone().contiguous()
