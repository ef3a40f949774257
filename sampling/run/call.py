"""Around one call of the UNet: the motion modules that act bring their temporal blocks, and leave nothing behind.

``apply_model`` finds out which modules act and how strongly, and hands them to ``run_layer``, which the host calls in place of
each residual block and spatial transformer. ``run.animate`` registers it.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...motion.config import NormScope
from ...motion.low_rank import Changes
from ...motion.model import Site
from ...motion.module import Modulation, TemporalBlock
from ...motion.views import Views
from ..frames import Call, NoiseSchedule, call_of
from ..host.attention import host_attention
from ..host.memory import ModelPatcher, load_only
from ..host.wrappers import MOTION, Executor, HostOptions
from ..modules.settings import config_of, curved_loras, settings_of
from ..timeline.curve import Strength, value_at
from .layers import LAYER_PATCH, LAYERS, Anchors, call_layer
from .norms import pooled_norms, unet_scope


class ActiveModule(NamedTuple):
    """One motion module during one model call."""

    blocks: dict[Site, TemporalBlock]
    modulation: Modulation
    norm_scope: NormScope
    lora_layers: tuple[tuple[str, ...], ...] = ()


class LayerCall(NamedTuple):
    """What ``run_layer`` needs; travels in ``transformer_options[MOTION]``, tensors and modules only."""

    anchors: Anchors
    modules: tuple[ActiveModule, ...]
    views: Views | None
    others: list[Any]


# --- which modules act, and how strongly -----------------------------------------------------------------------------


def _modulation(motion: ModelPatcher, call: Call, device: torch.device) -> Modulation | None:
    """Strengths of a motion module in one call, as tensors.

    Returns None if the influence is 0. A strength fixed at 1 is passed as None; a curve always becomes a tensor, even where
    it equals 1, so that torch.compile keeps one graph.
    """

    def now(strength: Strength) -> Tensor:
        return torch.as_tensor(value_at(strength, call), dtype=torch.float32).to(device)

    settings, loras = settings_of(motion), curved_loras(motion)
    influence = value_at(settings.influence, call)
    if not isinstance(influence, Tensor) and influence == 0.0:
        return None
    return Modulation(
        None if settings.influence == 1.0 else now(settings.influence),
        None if settings.attention_scale == 1.0 else now(settings.attention_scale),
        Changes(
            tuple(lora.network.layers(motion.model) for lora in loras),
            tuple(now(lora.strength) for lora in loras),
        ),
    )


def _in_range(motion: ModelPatcher, sampling: NoiseSchedule, sigma: float) -> bool:
    settings, percent_to_sigma = settings_of(motion), sampling.percent_to_sigma
    return percent_to_sigma(settings.end_percent) < sigma <= percent_to_sigma(settings.start_percent)


def _active_modules(
    patchers: list[ModelPatcher], sampling: NoiseSchedule, call: Call, x: Tensor, several_devices: bool
) -> tuple[ActiveModule, ...]:
    """The motion modules whose step range holds the call, loaded; those out of range make room.

    With several devices nothing is unloaded: model calls run in parallel threads, and unloading is not thread-safe.
    """
    in_range = [patcher for patcher in patchers if _in_range(patcher, sampling, call.sigma)]
    if len(patchers) > 1 and not several_devices:
        load_only(in_range, among=patchers)
    found = [(patcher, _modulation(patcher, call, x.device)) for patcher in in_range]
    return tuple(_active(patcher, modulation) for patcher, modulation in found if modulation)


def _active(patcher: ModelPatcher, modulation: Modulation) -> ActiveModule:
    layers = tuple(tuple(lora.network.pairs) for lora in curved_loras(patcher))
    return ActiveModule(patcher.model.sites(), modulation, config_of(patcher).norm_scope, layers)


def _signature(modules: tuple[ActiveModule, ...], views: Views | None) -> str:
    """A name for the structure of what runs, so that torch.compile tells graphs apart (see ``apply_model``)."""
    shapes = views and [tuple(part.shape) for part in views]
    structure = ([_structure(module) for module in modules], shapes)
    return hashlib.sha256(repr(structure).encode()).hexdigest()[:16]


def _structure(module: ActiveModule) -> tuple[Any, ...]:
    """What of one motion module decides the graph: its sites, the shapes of its strengths, its LoRAs, its norms."""
    sites = sorted((site, block.channels) for site, block in module.blocks.items())
    influence, scale, changes = module.modulation
    strengths = [None if value is None else tuple(value.shape) for value in (influence, scale)]
    loras = [tuple(strength.shape) for strength in changes.strengths]
    return sites, strengths, loras, module.lora_layers, str(module.norm_scope)


# --- the call --------------------------------------------------------------------------------------------------------


def _check_output(out: Tensor, patchers: list[ModelPatcher], call: Call) -> None:
    """On the first step, trace NaN in the result back to NaN in motion weights. Raises ValueError."""
    if call.step() != 0 or not torch.isnan(out).any():
        return
    for patcher in patchers:
        broken = [key for key, tensor in patcher.model.named_parameters() if torch.isnan(tensor).any()]
        if broken:
            raise ValueError(
                f"{settings_of(patcher).name} holds NaN in {len(broken)} tensors (first: {broken[0]}), so every frame would "
                "be black. The file is damaged: download it again."
            )


def apply_model(
    executor: Executor,
    x: Tensor,
    t: Tensor,
    c_concat: Any = None,
    c_crossattn: Any = None,
    control: Any = None,
    transformer_options: HostOptions = {},  # noqa: B006 - the host's own signature; it is never written to
    **kw: Any,
) -> Tensor:
    """Around one call of the UNet: bring the temporal blocks.

    Motion modules are found on the model's current patcher, never remembered, so clones and devices keep their own.
    Under TorchCompileModel everything read from ``transformer_options`` escapes the compiler's checks; the two extra
    keyword arguments, which the UNet ignores, are checked, and tell it when another graph is needed.
    """
    model = executor.class_obj
    patchers = model.current_patcher.get_additional_models_with_key(MOTION)
    call = call_of(transformer_options, x, len(transformer_options["cond_or_uncond"]), model.model_sampling, t)
    several_devices = "multigpu_thread_device" in transformer_options
    modules = _active_modules(patchers, model.model_sampling, call, x, several_devices)
    if not modules:
        return executor(x, t, c_concat, c_crossattn, control, transformer_options, **kw)
    patches = transformer_options.get("patches", {})
    layer_call = LayerCall(
        model.current_patcher.get_attachment(MOTION), modules, call.views, patches.get(LAYER_PATCH, [])
    )
    ours = [(layer, run_layer) for layer in LAYERS]
    options = {**transformer_options, "patches": {**patches, LAYER_PATCH: ours}, MOTION: layer_call}
    kw |= {"num_video_frames": call.frames, f"{MOTION}_{_signature(modules, call.views)}": True}
    with pooled_norms(model.diffusion_model, unet_scope(module.norm_scope for module in modules), call.frames):
        out = executor(x, t, c_concat, c_crossattn, control, options, **kw)
    _check_output(out, patchers, call)
    return out


def run_layer(
    layer: Any,
    x: Tensor,
    emb: Tensor,
    context: Any,
    transformer_options: HostOptions,
    output_shape: Any,
    time_context: Any,
    num_video_frames: int,
    image_only_indicator: Any,
) -> Tensor:
    """Called by the host in place of a residual block or spatial transformer: run it, then the temporal block.

    The layer itself is left to the host and to patches that other packs registered for it.
    """
    call: LayerCall = transformer_options[MOTION]
    rest = (output_shape, time_context, num_video_frames, image_only_indicator)
    x = call_layer(layer, x, emb, context, transformer_options, call.others, rest)
    site = transformer_options["block"]
    if site in call.anchors and isinstance(layer, call.anchors[site][0]):
        for module in call.modules:
            if site in module.blocks:
                attention = host_attention(transformer_options)
                x = module.blocks[site](x, num_video_frames, attention, module.modulation, call.views)
    return x
