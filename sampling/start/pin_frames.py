"""Pin frames of an animation to images without any control model: their latents are given, the other frames are made to fit.

Works through the host's noise mask, one per frame, so with every sampler and inside context windows. Called by
``nodes.sample.PinFrames``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..host.sample import VAE, Latent, pixels_per_latent, prepare_mask, scaled_to
from ..timeline.frame_list import frame_list

KEEP, NEAREST, BLEND = "keep", "nearest", "blend"
FILLS = (BLEND, NEAREST, KEEP)


def _encoded(images: Tensor, vae: VAE, like: Tensor) -> Tensor:
    """Images ``(N, H, W, C)`` -> latents ``(N, 4, h, w)`` of the size of ``like``; what sticks out at the sides is cut off."""
    size = [side * pixels_per_latent(vae) for side in like.shape[-2:]]
    pixels = scaled_to(images[..., :3].movedim(-1, 1), size, "bicubic").movedim(1, -1)
    return vae.encode(pixels.clamp(0, 1))


def _filled(samples: Tensor, pinned: list[int], fill: str) -> Tensor:
    """Start values of the other frames from the pinned ones: the nearest, or a blend of the two on either side."""
    filled = samples.clone()
    for frame in sorted(set(range(samples.shape[0])) - set(pinned)):
        before = max((p for p in pinned if p < frame), default=None)
        after = min((p for p in pinned if p > frame), default=None)
        if before is None or after is None:
            filled[frame] = samples[after if before is None else before]
            continue
        share = (frame - before) / (after - before)
        share = round(share) if fill == NEAREST else share
        filled[frame] = torch.lerp(samples[before], samples[after], share)
    return filled


def pin_frames(latent: Latent, images: Tensor, vae: VAE, frames: str, strength: float, fill: str) -> Latent:
    """LATENT of an animation -> one whose ``frames`` are the images. What was pinned before stays pinned.

    Args:
        latent: ``samples`` ``(F, C, H, W)``, and perhaps a ``noise_mask``.
        images: ``(N, H, W, 3)``, 0 to 1: one for all, or one per frame named.
        frames: which ones, as ``timeline.frame_list`` reads them.
        strength: 1 keeps the images, 0 lets them be redone like the others.
        fill: where sampling with denoise below 1 starts for the other frames: one of ``FILLS``.

    Raises:
        ValueError: ``frames`` is wrong, the number of images does not fit, or the latent is no batch of images.
    """
    samples = latent["samples"]
    if samples.is_nested or samples.ndim != 4:
        raise ValueError(
            f"Pin Frames needs a batch of image latents, (frames, channels, height, width); got {tuple(samples.shape)}."
        )
    chosen = frame_list(frames, samples.shape[0])
    if len(images) not in (1, len(chosen)):
        raise ValueError(
            f"{len(images)} images for {len(chosen)} frames ({frames}). Give one image for all, or one per frame."
        )
    mask = latent.get("noise_mask")
    mask = torch.ones_like(samples[:, :1]) if mask is None else prepare_mask(mask, samples.shape, samples.device)[:, :1].clone()
    samples = samples.clone()
    samples[chosen] = _encoded(images, vae, samples).to(samples)
    mask[chosen] = 1.0 - strength
    if fill != KEEP:
        pinned = [frame for frame in range(len(samples)) if float(mask[frame].max()) < 1.0 or frame in chosen]
        samples = _filled(samples, pinned, fill)
    return {**latent, "samples": samples, "noise_mask": mask}


def with_frames(latent: Latent, frames: int) -> Latent:
    """LATENT with so many frames, along the first axis: the last one repeated, or those after the last left out.

    A mask per frame goes with its frame; one mask for all is not changed. Seeds of frames (``batch_index``) are made anew.
    """
    changed = {key: value for key, value in latent.items() if key != "batch_index"}
    changed["samples"] = _at_length(latent["samples"], frames)
    mask = latent.get("noise_mask")
    if mask is not None and mask.shape[0] > 1:
        changed["noise_mask"] = _at_length(mask, frames)
    return changed


def _at_length(rows: Tensor, length: int) -> Tensor:
    missing = length - rows.shape[0]
    return torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])]) if missing > 0 else rows[:length]
