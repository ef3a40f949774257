"""Latents and prompts of the clips in a folder, one clip at a time, kept on disk. Called by ``nodes.clips``.

Latents are kept for a file as it is (path, size, time), the options that cut a clip out of it, and a VAE; prompts for their
tokens and a CLIP. What is read is what was made, bit for bit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...sampling.host.sample import CLIP, VAE, ProgressBar, stop_if_interrupted, warn
from ..host.encode import (
    CaptionPrompt,
    clip_fingerprint,
    digest,
    encode_frames,
    encode_words,
    vae_fingerprint,
    words_fingerprint,
)
from ..host.folders import cache_folder
from ..host.video import Unreadable
from .cache import keep, kept
from .load import Clip, ClipOptions, find_clips, no_clips, read_clip

LATENTS = "latents"
FORM = 1
"""Of what is kept; another number makes all of it anew."""


@dataclass
class EncodedClips:
    """A training set in the form of Make Training Dataset.

    Attributes:
        latents: one LATENT ``{"samples": (F, 4, h, w)}`` for each clip.
        positive: one CONDITIONING for each clip.
        empty: that of the empty prompt.
        report: what the node shows.
    """

    latents: list[dict[str, Tensor]] = field(default_factory=list)
    positive: list[CaptionPrompt] = field(default_factory=list)
    empty: CaptionPrompt = field(default_factory=list)
    report: str = ""


@dataclass
class _Store:
    """The cache folder, what came out of it, and why something could not be put into it."""

    folder: Path
    reused: int = 0
    refused: str = ""

    def keep(self, key: str, tensors: dict[str, Tensor], notes: dict[str, str]) -> None:
        try:
            keep(self.folder, key, tensors, notes)
        except OSError as error:
            self.refused = f"Latents and prompts cannot be kept in {self.folder} ({error}): they are made again the next time. Make room there."


def encode_clips(folder: Path, options: ClipOptions, vae: VAE, clip: CLIP) -> EncodedClips:
    """Encode all clips of a folder; those that were encoded before are read. The user is warned.

    Raises:
        ValueError: no clips, or a VAE that makes NaN of them.
    """
    found = find_clips(folder, options)
    store, made = _Store(cache_folder()), EncodedClips()
    made_by, progress, read = vae_fingerprint(vae), ProgressBar(len(found.clips)), []
    for cut in found.clips:
        stop_if_interrupted()
        try:
            made.latents.append({"samples": _latents(cut, options, vae, made_by, store)})
            read.append(cut)
        except Unreadable as error:
            found.lost.append(f"{cut.footage.name} {error}.")
        progress.update(1)
    found.clips[:] = read
    if not read:
        raise ValueError(no_clips(folder, found))
    made.positive, made.empty = _prompts((cut.caption for cut in read), clip, store)
    if store.refused:
        found.warnings.append(store.refused)
    warn(found.told())
    made.report = found.report(options, [f"{store.reused} of {len(read)} from the cache."])
    return made


def _latents(cut: Clip, options: ClipOptions, vae: VAE, made_by: str, store: _Store) -> Tensor:
    key = f"clip-{_clip_key(cut, options, made_by)}"
    if (entry := kept(store.folder, key)) is not None and len(entry[0].get(LATENTS, ())) == options.length:
        store.reused += 1
        return entry[0][LATENTS]
    latents = encode_frames(vae, read_clip(cut, options))
    if not bool(torch.isfinite(latents).all()):
        raise ValueError(f"The VAE made NaN of {cut.footage.name}. Start ComfyUI with --fp32-vae, or use another VAE.")
    store.keep(key, {LATENTS: latents}, {"file": cut.footage.name, "start": str(cut.start)})
    return latents


def _clip_key(cut: Clip, options: ClipOptions, made_by: str) -> str:
    files = cut.footage.frames[cut.start : cut.start + options.reach : options.stride] or (cut.footage.path,)
    try:
        states = [(str(file.absolute()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    except OSError as error:
        raise Unreadable(f"cannot be read ({error.strerror})") from error
    cutting = (options.length, options.stride, options.width, options.height, options.fit, cut.start)
    return digest([FORM, states, cutting, made_by])


def _prompts(captions: Iterable[str], clip: CLIP, store: _Store) -> tuple[list[CaptionPrompt], CaptionPrompt]:
    """The prompts of captions and the empty one; the same words are encoded once."""
    made_by = clip_fingerprint(clip)
    known: dict[str, CaptionPrompt] = {}

    def prompt(words: str) -> CaptionPrompt:
        if words not in known:
            stop_if_interrupted()
            known[words] = _prompt(words, clip, made_by, store)
        return known[words]

    return [_own(prompt(words)) for words in captions], _own(prompt(""))


def _own(prompt: CaptionPrompt) -> CaptionPrompt:
    """A prompt whose lists are not those of another."""
    return [[embeddings, dict(notes)] for embeddings, notes in prompt]


def _prompt(words: str, clip: CLIP, made_by: str, store: _Store) -> CaptionPrompt:
    key = f"prompt-{digest([FORM, words_fingerprint(clip, words), made_by])}"
    entry = kept(store.folder, key)
    if entry is not None and "parts" in entry[1]:
        return _joined(entry[0], json.loads(entry[1]["parts"]))
    prompt = encode_words(clip, words)
    tensors, parts = _parted(prompt)
    if parts is not None:
        store.keep(key, tensors, {"parts": json.dumps(parts), "words": words})
    return prompt


def _parted(prompt: CaptionPrompt) -> tuple[dict[str, Tensor], list[dict[str, Any]] | None]:
    """The tensors of a prompt by name, and the rest as JSON; None for what has other objects in it, such as hooks."""
    tensors: dict[str, Tensor] = {}
    parts: list[dict[str, Any]] = []
    for index, (embeddings, notes) in enumerate(prompt):
        tensors[f"{index}"] = embeddings
        parts.append({})
        for name, value in notes.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{name}"] = value
                parts[-1][name] = {"tensor": f"{index}.{name}"}
            elif value is None or isinstance(value, str | bool | int | float):
                parts[-1][name] = {"value": value}
            else:
                return {}, None
    return tensors, parts


def _joined(tensors: dict[str, Tensor], parts: list[dict[str, Any]]) -> CaptionPrompt:
    return [
        [tensors[f"{index}"], {name: tensors[kind["tensor"]] if "tensor" in kind else kind["value"] for name, kind in notes.items()}]
        for index, notes in enumerate(parts)
    ]
