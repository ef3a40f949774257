"""The state of a training, and the file from which it goes on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .settings import TrainingSettings

VERSION = 1
UNSET = "not given"
"""Of what a state that was saved by an older version does not have."""
SAMPLED = 64
"""Values of a tensor that tell it from others."""


def digest_of(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """A name for named tensors, from their shapes and a few values of each: weights of gigabytes are not read whole."""
    digest = hashlib.sha256()
    for name, tensor in tensors:
        values = tensor.detach().flatten()
        chosen = values[:: max(1, len(values) // SAMPLED)][:SAMPLED].float().cpu()
        digest.update(f"{name} {tuple(tensor.shape)}".encode() + chosen.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def fingerprint(
    settings: TrainingSettings, clips: Sequence[Tensor], stage: str, processes: int = 1, given: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What a training must have in common with the one that it goes on from, by name.

    Args:
        given: what else it was given, such as the models, each as a digest.
    """
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(str(tuple(clip.shape)).encode())
        digest.update(clip.detach().float().cpu().contiguous().numpy().tobytes())
    chosen = {name: str(value) for name, value in settings.lasting().items()}
    return {"stage": stage, "clips": f"{len(clips)} ({digest.hexdigest()[:16]})", "processes": str(processes), **chosen, **(given or {})}


def state_file(folder: Path, marks: Mapping[str, str]) -> Path:
    """The file of a training that was given no name: another for other settings or clips."""
    digest = hashlib.sha256(repr(sorted(marks.items())).encode()).hexdigest()
    return folder / f"{marks['stage'].replace(' ', '_')}_{digest[:10]}.state.pt"


@dataclass
class State:
    """Where a training is.

    Attributes:
        step: steps done.
        losses: of each of them.
        weights: what is trained, by name.
        average: its moving average; empty without one.
        optimizer, scaler: as they tell it.
        fingerprint: of the training.
    """

    step: int = 0
    losses: list[float] = field(default_factory=list[float])
    weights: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    average: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    optimizer: dict[str, Any] = field(default_factory=dict[str, Any])
    scaler: dict[str, Any] = field(default_factory=dict[str, Any])
    fingerprint: dict[str, str] = field(default_factory=dict[str, str])


def save_state(state: State, file: Path) -> None:
    """Write a state, whole or not at all. Raises OSError where it cannot be written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(file.name + ".part")
    try:
        torch.save({"version": VERSION, **vars(state)}, part)
        os.replace(part, file)
    except (OSError, RuntimeError) as error:  # torch tells of a full disk by a RuntimeError
        part.unlink(missing_ok=True)
        raise OSError(f"{file.name} could not be written ({error}).") from error


def load_state(file: Path, wanted: Mapping[str, str]) -> State:
    """Read a state.

    Raises:
        ValueError: it is none, or that of another training.
    """
    try:
        stored = torch.load(file, map_location="cpu", weights_only=True)
        version = stored.pop("version")
        state = State(**stored)
    except FileNotFoundError as error:
        raise ValueError(f"Needed the state of a training, got no file {file.name}. Choose one that exists, or none.") from error
    except Exception as error:
        raise ValueError(f"Needed the state of a training, but {file.name} is none ({error}). Choose another file.") from error
    if version != VERSION:
        raise ValueError(f"{file.name} has version {version} of the state of a training, needed is {VERSION}. Begin anew.")
    was = state.fingerprint
    differences = [
        f"{name} was {was.get(name, UNSET)}, is {wanted.get(name, UNSET)}"
        for name in {**wanted, **was}
        if was.get(name) != wanted.get(name)
    ]
    if differences:
        raise ValueError(
            f"{file.name} is of another training: {'; '.join(differences)}. Set these as they were, or use another state "
            "name to begin anew."
        )
    return state
