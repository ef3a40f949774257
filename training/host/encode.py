"""Latents and prompts by the host's VAE and CLIP, and by what they are told from others. Called by ``training.clips.encode``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from comfy.sd import CLIP, VAE
from torch import Tensor

CaptionPrompt = list[list[Any]]
"""A CONDITIONING: pairs of embeddings and what goes with them."""
PROBE_SIDE = 64
PROBE_WORDS = "a photo of the quick brown fox, 1girl, jumping over a lazy dog at sunset"


def encode_frames(vae: VAE, frames: Tensor) -> Tensor:
    """The latents of a clip ``(F, H, W, 3)``, as Make Training Dataset encodes them."""
    return vae.encode(frames[:, :, :, :3])


def encode_words(clip: CLIP, words: str) -> CaptionPrompt:
    """A prompt, as Make Training Dataset encodes it."""
    prompt: Any = clip.encode_from_tokens_scheduled(clip.tokenize(words))
    return prompt


def vae_fingerprint(vae: VAE) -> str:
    """Tells a VAE from others by what it makes of a fixed picture: its weights, precision and settings all have a part in it."""
    picture = torch.rand(1, PROBE_SIDE, PROBE_SIDE, 3, generator=torch.Generator().manual_seed(0))
    return digest(encode_frames(vae, picture))


def clip_fingerprint(clip: CLIP) -> str:
    """Tells a CLIP from others by what it makes of fixed words: LoRAs and the layer that is taken have a part in it too."""
    return digest(encode_words(clip, PROBE_WORDS))


def words_fingerprint(clip: CLIP, words: str) -> str:
    """Tells a prompt from others by its tokens, in which embeddings from files are tensors."""
    return digest(clip.tokenize(words))


def digest(value: Any) -> str:
    """A hash of tensors, numbers and text, in whatever containers; of other objects only the type counts."""
    hashed = hashlib.blake2b(digest_size=16)
    _add(hashed, value)
    return hashed.hexdigest()


def _add(hashed: Any, value: Any) -> None:
    if isinstance(value, Tensor):
        hashed.update(f"{value.dtype}{tuple(value.shape)}".encode())
        hashed.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            hashed.update(f"{key}:".encode())
            _add(hashed, value[key])
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        hashed.update(f"{len(value)}[".encode())
        for item in value:
            _add(hashed, item)
    elif value is None or isinstance(value, str | bytes | bool | int | float):
        hashed.update(f"{value!r};".encode())
    else:
        hashed.update(f"{type(value).__qualname__};".encode())
