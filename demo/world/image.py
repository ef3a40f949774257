"""The image model of the small world: UNet and text encoder, trained together on single pictures. `train` calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from comfy.taesd.taesd import TAESD
from torch import Tensor, nn

from .autoencoder import SD15_SCALE
from .clips import pictures, to_floats
from .files import image_state
from .networks import Words, unet
from .progress import Training

STEPS, BATCH, RATE = 11000, 64, 8e-4
PICTURES, SEED = 20000, 21
NO_CAPTION = 0.12  # share of the pictures that are shown without their caption, for guidance
MOST_WEIGHT = 5.0  # signal-to-noise ratio above which a noise level counts no more (min-SNR weighting, arXiv 2303.09556)


class ImageModel(nn.Module):
    """UNet and text encoder."""

    def __init__(self, captions: list[str]) -> None:
        super().__init__()
        self.unet = unet()
        self.words = Words(captions)


def signal_shares() -> Tensor:
    """The cumulative alphas of SD1.5's schedule, (1000,)."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return torch.cumprod(1.0 - betas, dim=0).float()


def noised(latents: Tensor, step: Tensor, noise: Tensor) -> Tensor:
    """Latents (N, 4, h, w) at the noise level of each one's step (N,)."""
    share = signal_shares()[step][:, None, None, None]
    return share.sqrt() * latents + (1.0 - share).sqrt() * noise


def weight(step: Tensor) -> Tensor:
    """How much the loss at each step counts, (N,)."""
    share = signal_shares()[step]
    ratio = share / (1.0 - share)
    return ratio.clamp(max=MOST_WEIGHT) / ratio


def train(file: Path, autoencoder: dict[str, Tensor], cache: Path, report: Callable[[str], None]) -> None:
    """Train to the end, or go on where an earlier run stopped."""
    latents, captions = _data(autoencoder, cache)
    model = ImageModel(captions)
    tokens = model.words.tokens([*captions, ""])
    training = Training(dict(model.named_parameters()), file, STEPS, RATE)

    def loss(random: torch.Generator) -> Tensor:
        chosen = torch.randint(len(latents), (BATCH,), generator=random)
        step = torch.randint(1000, (BATCH,), generator=random)
        noise = torch.randn(BATCH, *latents.shape[1:], generator=random)
        untold = torch.rand(BATCH, generator=random) < NO_CAPTION
        said = tokens[torch.where(untold, len(tokens) - 1, chosen)]
        noisy = noised(latents[chosen], step, noise)
        distinct, which = said.unique(dim=0, return_inverse=True)
        text = model.words(distinct)[which]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = model.unet(noisy, step.float(), context=text)
        error = (found.float() - noise).square().mean(dim=(1, 2, 3))
        return (weight(step) * error).mean()

    training.run(loss, report)


def weights(file: Path, cache: Path) -> dict[str, Tensor]:
    """The trained image model's tensors, as `files.export` takes them."""
    captions = torch.load(cache, weights_only=True)["captions"]
    return image_state(torch.load(file, weights_only=True)["average"], Words(captions).known)


def _data(autoencoder: dict[str, Tensor], cache: Path) -> tuple[Tensor, list[str]]:
    """The latents of the training pictures with deviation 1, (N, 4, 8, 8), and their captions."""
    if not cache.exists():
        frames, captions = pictures(PICTURES, SEED)
        cache.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"latents": encode(autoencoder, frames), "captions": captions}, cache)
    stored = torch.load(cache, weights_only=True)
    return stored["latents"], stored["captions"]


def encode(autoencoder: dict[str, Tensor], frames: Tensor) -> Tensor:
    """Pictures (N, 64, 64, 3) as bytes -> latents (N, 4, 8, 8) as the UNet takes them."""
    net = TAESD(latent_channels=4)
    net.load_state_dict(autoencoder)
    net.to(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        parts = [net.encode(to_floats(part) * 2 - 1).float() * SD15_SCALE for part in frames.split(64)]
    return torch.cat(parts).clone().contiguous()
