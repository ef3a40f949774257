"""The stages as nodes run them: lists of inputs in, watched on the node, state kept in the host's output folder. Called by ``nodes.train``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from ...motion.container import ModelFile
from ...sampling.host.controls import Conditioning
from ...sampling.host.files import output_folder
from ...sampling.host.memory import ModelPatcher
from ...sampling.host.sample import Latent, stop_if_interrupted
from ...sampling.modules.load import make_motion_module
from ...sampling.modules.motion_lora import with_motion_lora
from ..loop.on_node import NodeWatch, Preview
from ..loop.settings import TrainingSettings
from ..loop.watch import Keeping, Trained
from .clips import Run
from .domain_adapter import train_domain_adapter
from .motion_lora import train_motion_lora
from .motion_module import FromScratch, train_motion_module

AUTO = "auto"
"""The state name with which a training goes on where one with the same settings and clips was interrupted."""
STATES = "training"
"""Folder of states in the host's output folder."""


@dataclass(frozen=True)
class TrainingOptions:
    """What travels on an ANIMATEDIFF_TRAINING socket: settings beyond those of the host's training node.

    Attributes:
        untold: CONDITIONING of an empty prompt, for caption dropout.
    """

    settings: TrainingSettings = field(default_factory=TrainingSettings)
    untold: Conditioning | None = None


@dataclass(frozen=True)
class NodeInputs:
    """What all three stages have, as the host hands it to a node that takes lists.

    Attributes:
        state_name: of a file below the folder ``training`` of the host's output folder, ``AUTO``, or empty to keep nothing.
    """

    model: Sequence[ModelPatcher]
    latents: Sequence[Latent]
    positive: Sequence[Conditioning]
    state_name: str
    options: Sequence[TrainingOptions] | None
    preview: Sequence[Preview] | None
    chosen: dict[str, Any]

    @property
    def clips(self) -> list[Tensor]:
        """The latents of each clip."""
        return [latent["samples"] for latent in self.latents]

    @property
    def settings(self) -> TrainingSettings:
        """The options with what the stage's own node says."""
        return replace(_first(self.options, TrainingOptions()).settings, **self.chosen)

    def run(self) -> Run:
        """Watched on the node, and kept."""
        shape = tuple(self.clips[0].shape) if self.latents else ()
        watch = NodeWatch(self.settings.steps, shape, _first(self.preview, None))
        return Run(_first(self.options, TrainingOptions()).untold, watch, keeping_of(self.state_name))


def _first(values: Sequence[Any] | None, default: Any) -> Any:
    """The value of an input that may be left open, from its list."""
    return values[0] if values else default


def keeping_of(name: str) -> Keeping:
    """Where the state of a training of this name is kept. Raises ValueError for a name outside of the folder."""
    if not name.strip():
        return Keeping()
    folder = output_folder(STATES)
    if name.strip() == AUTO:
        return Keeping(folder=folder)
    file = folder / f"{name.strip()}.state.pt"
    if not file.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"state_name is a name of a file below {folder}, got {name!r}, which lies outside. Choose a plain name.")
    return Keeping(file)


def _ended(trained: Trained) -> Trained:
    """What was trained, unless the user cancelled the run: then the host's exception, as its state is kept."""
    stop_if_interrupted()
    return trained


def lora_at_node(inputs: NodeInputs, motion: ModelPatcher, rank: int, strengths: Sequence[float] = ()) -> tuple[ModelPatcher, Trained]:
    """Stage ``motion_lora``; gives the module with the LoRA on it as well, ready to be used."""
    run = inputs.run()
    trained = _ended(train_motion_lora(inputs.model[0], motion, inputs.clips, inputs.positive, inputs.settings, rank, run, strengths))
    file = ModelFile(f"a motion LoRA trained for {trained.steps} steps", trained.tensors, trained.metadata)
    with torch.inference_mode(False):
        return with_motion_lora(motion, file, 1.0), trained


def adapter_at_node(inputs: NodeInputs, rank: int, pictures: int) -> Trained:
    """Stage ``domain_adapter``."""
    return _ended(train_domain_adapter(inputs.model[0], inputs.clips, inputs.positive, inputs.settings, rank, pictures, inputs.run()))


def module_at_node(
    inputs: NodeInputs, motion: ModelPatcher | None, has_mid: bool, positions: int
) -> tuple[ModelPatcher, Trained]:
    """Stage ``motion_module``; gives the module, ready to be used."""
    start = FromScratch(has_mid=has_mid, positions=positions) if motion is None else motion
    trained = _ended(train_motion_module(inputs.model[0], inputs.clips, inputs.positive, inputs.settings, start, inputs.run()))
    name = f"a motion module trained for {trained.steps} steps"
    with torch.inference_mode(False):
        return make_motion_module(ModelFile(name, trained.tensors, trained.metadata)), trained
