"""Sampling by the host, and what the user is told and shown meanwhile: progress, previews, warnings."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import comfy.model_management
import comfy.samplers
import comfy.utils
import latent_preview
from comfy.hooks import HookGroup
from comfy.k_diffusion.sampling import BrownianTreeNoiseSampler
from comfy.model_patcher import ModelPatcher
from comfy.sampler_helpers import prepare_mask
from comfy.samplers import KSAMPLER, CFGGuider, Sampler
from comfy.sd import CLIP, VAE
from comfy.utils import ProgressBar, repeat_to_batch_size
from comfy_execution.progress import get_progress_state
from comfy_execution.utils import get_executing_context
from comfy_extras.nodes_hooks import SetClipHooks
from torch import Tensor

import nodes as host_nodes

from .controls import Conditioning

__all__ = [
    "CLIP",
    "KSAMPLER",
    "VAE",
    "BrownianTreeNoiseSampler",
    "CFGGuider",
    "HookGroup",
    "ProgressBar",
    "Sampler",
    "prepare_mask",
    "repeat_to_batch_size",
]

SAMPLERS = comfy.samplers.KSampler.SAMPLERS
SCHEDULERS = comfy.samplers.KSampler.SCHEDULERS
Latent = dict[str, Any]
"""What travels on a LATENT socket: ``samples`` and perhaps a ``noise_mask``."""


class StepCallback(Protocol):
    """Called after each sampling step with the denoised latents ``x0`` and the noisy ``x``."""

    def __call__(self, step: int, x0: Tensor, x: Tensor, total_steps: int) -> None: ...


# --- sampling --------------------------------------------------------------------------------------------------------


def run_ksampler(
    model: ModelPatcher,
    seed: int,
    steps: int,
    cfg: float,
    names: tuple[str, str],
    prompts: tuple[Conditioning, Conditioning],
    latent: Latent,
    denoise: float,
) -> Latent:
    """What the host's KSampler node does; ``names`` are those of sampler and scheduler."""
    return host_nodes.common_ksampler(model, seed, steps, cfg, *names, *prompts, latent, denoise=denoise)[0]


@contextmanager
def sampling_with(guider: CFGGuider, model: ModelPatcher) -> Iterator[None]:
    """Inside, the guider samples with another MODEL. The host has no other way; the guider has its own again afterwards."""
    own = guider.model_patcher
    guider.model_patcher = model
    try:
        yield
    finally:
        guider.model_patcher = own


@contextmanager
def guided_with(guider: CFGGuider, cfg: float) -> Iterator[None]:
    """Inside, the guider has another CFG scale; it has its own again afterwards."""
    own = guider.cfg
    guider.cfg = cfg
    try:
        yield
    finally:
        guider.cfg = own


# --- prompts and pictures --------------------------------------------------------------------------------------------


def with_prompt_hooks(encoder: CLIP, hooks: HookGroup) -> CLIP:
    """A CLIP whose prompts carry LoRA hooks, besides those it has for the text encoder and for the image model."""
    combine: Any = HookGroup.combine_all_hooks  # takes None for no hooks, whatever its annotation says
    both = combine([encoder.patcher.forced_hooks, hooks])
    hooked = SetClipHooks().apply_hooks(encoder, schedule_clip=encoder.use_clip_schedule, apply_to_conds=False, hooks=both)[0]
    hooked.apply_hooks_to_conds = combine([encoder.apply_hooks_to_conds, hooks])
    return hooked


def pixels_per_latent(vae: VAE) -> int:
    """How many pixels of an image's side become one of its latent."""
    ratio: Any = vae.spacial_compression_encode()
    return ratio


def scaled_to(images: Tensor, size: Sequence[int], method: str) -> Tensor:
    """Images ``(N, C, H, W)`` at another height and width; what sticks out at the sides is cut off."""
    height, width = size
    return comfy.utils.common_upscale(images, width, height, method, "center")


# --- what the user sees ----------------------------------------------------------------------------------------------


def stop_if_interrupted() -> None:
    """Raise the host's exception if the user cancelled the run."""
    comfy.model_management.throw_exception_if_processing_interrupted()


def is_interrupted() -> bool:
    """Whether the user cancelled the run; ``stop_if_interrupted`` ends it."""
    return comfy.model_management.processing_interrupted()


def previewer_of(model: ModelPatcher) -> Any:
    """What makes live previews of a MODEL's latents; None if the user wants none."""
    return latent_preview.get_previewer(model.load_device, model.model.latent_format)


def warn(sentences: Sequence[str]) -> None:
    """Warn the user in the log and on the node that runs, all sentences together: a node shows one text."""
    if not sentences:
        return
    text = "\n".join(sentences)
    logging.warning(text)
    tell(text)


def tell(text: str) -> None:
    """Show a text on the node that runs, in place of the one before, where the host serves a front end."""
    instance, context = _server(), get_executing_context()
    if instance is not None and context is not None:
        instance.send_progress_text(text, _in_the_graph(context.node_id))


def show(result: dict[str, Any]) -> None:
    """Show a result on the node that runs, before it ends; ``result`` is what a node gives as ``ui``."""
    instance, context = _server(), get_executing_context()
    if instance is not None and context is not None:
        shown, prompt = _in_the_graph(context.node_id), context.prompt_id
        told = {"node": context.node_id, "display_node": shown, "output": result, "prompt_id": prompt}
        instance.send_sync("executed", told, instance.client_id)


def _server() -> Any:
    """The host's server; None where there is no front end."""
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)


def _in_the_graph(node_id: str) -> str:
    """The node that the user sees, for one that another node put in its own position."""
    run = getattr(get_progress_state(), "dynprompt", None)
    return node_id if run is None else run.get_display_node_id(node_id)
