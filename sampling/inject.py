"""Put motion modules to work on a MODEL, without changing anything of the UNet.

``animate`` clones a MODEL and registers, all of it on the clone: the motion module as an additional model, wrappers
around the host's sampling calls, the training schedule and, if asked for, context windows. During a model call the
wrapper ``_apply_model`` hands the temporal blocks to ``_run_layer``, which the host calls in place of each residual
block and spatial transformer. When the call ends nothing of it is left.

Several motion modules may be on one MODEL, each with its range of steps; those out of range leave the device.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import Any, NamedTuple

import comfy.model_management
import torch
from comfy.ldm.modules.attention import SpatialTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock, UNetModel, forward_timestep_embed
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import CallbacksMP, WrappersMP
from torch import Tensor

from ..motion.low_rank import Changes
from ..motion.model import Place
from ..motion.module import Modulation, TemporalBlock
from ..motion.views import Views
from .attention import host_attention
from .beta_schedule import restore_beta_schedule, set_beta_schedule
from .clip import follow_clip
from .context_options import ContextOptions
from .curve import Moment, Strength, moment_of_call, value_at
from .group_norm import SCOPES, pooled_norms
from .patcher import config_of, curved_loras, family_of, settings_of, without_dynamic
from .sparse_control import check_controls
from .windows import HANDLER, VIEWS, FrameWindows, set_windows, understood

KEY = "animatediff"
LAYER_PATCH = "forward_timestep_embed_patch"
WRAPPERS = (WrappersMP.OUTER_SAMPLE, WrappersMP.CALC_COND_BATCH, WrappersMP.APPLY_MODEL)

Anchors = dict[Place, tuple[type, int]]
"""After which layer of a UNet block its temporal block runs, and with how many channels."""


class Motion(NamedTuple):
    """One motion module during one model call."""

    blocks: dict[Place, TemporalBlock]
    modulation: Modulation
    norm_scope: str
    lora_layers: tuple[tuple[str, ...], ...] = ()


class ModelCall(NamedTuple):
    """What ``_run_layer`` needs; travels in ``transformer_options[KEY]``, tensors and modules only."""

    anchors: Anchors
    motions: tuple[Motion, ...]
    views: Views | None
    others: list[Any]


@dataclass(frozen=True)
class Animation:
    """Attached to an animated MODEL: where its UNet takes temporal blocks."""

    anchors: Anchors


# --- wiring ----------------------------------------------------------------------------------------------------------


def find_anchors(unet: UNetModel) -> Anchors:
    """A block's temporal block runs after its last spatial transformer, or else after its residual block."""
    anchors: Anchors = {}
    stages = {"input": unet.input_blocks, "middle": [unet.middle_block], "output": unet.output_blocks}
    for stage, blocks in stages.items():
        for index, block in enumerate(blocks):
            transformers = [layer for layer in block or () if isinstance(layer, SpatialTransformer)]
            residuals = [layer for layer in block or () if isinstance(layer, ResBlock)]
            if residuals:
                layer = SpatialTransformer if transformers else ResBlock
                anchors[stage, index] = (layer, residuals[0].out_channels)
    return anchors


def _check_base(model: ModelPatcher, motion: ModelPatcher) -> Anchors:
    """Raise ValueError unless every temporal block has a place of its size in the UNet."""
    base, name = family_of(motion).base, settings_of(motion).name
    got = type(model.model.model_config).__name__
    unet = model.get_model_object("diffusion_model")
    if not isinstance(unet, UNetModel):
        raise ValueError(f"{name} is a motion module for {base}, this MODEL is {got}. Load an {base} checkpoint.")
    anchors = find_anchors(unet)
    for place, block in motion.model.places().items():
        channels = anchors[place][1] if place in anchors else 0
        if channels != block.channels:
            raise ValueError(
                f"{name} is a motion module for {base}, this MODEL is {got}: UNet block {place[0]} {place[1]} has "
                f"{channels} channels, the module {block.channels}. Load an {base} checkpoint, or the module for {got}."
            )
    return anchors


def animate(model: ModelPatcher, motion: ModelPatcher, context: ContextOptions | None = None) -> ModelPatcher:
    """MODEL + MOTION_MODULE -> an animated MODEL, for any sampler or guider. The given MODEL stays as it is.

    Raises:
        ValueError: module and MODEL are of different bases, or windows are longer than the module's positions.
    """
    anchors = _check_base(model, motion)
    positions = config_of(motion).positions
    longest = max(options.length for options in context.plan) if context is not None else 0
    if longest > positions:
        raise ValueError(
            f"{settings_of(motion).name} handles at most {positions} frames at once, context_length is {longest}. Set it "
            f"to {positions} or less."
        )
    present = model.get_additional_models_with_key(KEY)
    if any(motion.is_clone(other) for other in present):
        raise ValueError(f"{settings_of(motion).name} is already on this MODEL. Remove one of the two nodes.")
    model = model.clone()
    model.set_additional_models(KEY, [*model.get_additional_models_with_key(KEY), motion.clone()])
    model.set_attachments(KEY, Animation(anchors))
    for kind, wrapper in zip(WRAPPERS, (_outer_sample, _calc_cond_batch, _apply_model), strict=True):
        model.remove_wrappers_with_key(kind, KEY)
        model.add_wrapper_with_key(kind, KEY, wrapper)
    model.remove_callbacks_with_key(CallbacksMP.ON_CLONE, KEY)
    model.add_callback_with_key(CallbacksMP.ON_CLONE, KEY, _match_dynamic)
    set_beta_schedule(model, config_of(motion).beta_schedule)
    follow_clip(model)
    if context is not None:
        set_windows(model, context)
    return model


def _match_dynamic(_: ModelPatcher, clone: ModelPatcher) -> None:
    """A MODEL taken out of dynamic VRAM (by weight hooks, by compilation) takes its motion modules along."""
    motions = clone.get_additional_models_with_key(KEY)
    if not clone.is_dynamic() and any(motion.is_dynamic() for motion in motions):
        clone.set_additional_models(KEY, [without_dynamic(motion) for motion in motions])


# --- a sampling run --------------------------------------------------------------------------------------------------


def _check_frames(motions: list[ModelPatcher], frames: int, at_once: int) -> None:
    """Raise ValueError for clips no motion module can take; warn about those it was not trained for."""
    if frames == 0:
        raise ValueError("The latent has 0 frames. Set the batch size of the empty latent to the number of frames.")
    for motion in motions:
        name, positions, trained = settings_of(motion).name, config_of(motion).positions, family_of(motion).frames
        if at_once > positions:
            advice = "Add Context Window Options" if at_once == frames else f"Set context_length to {positions} or less"
            raise ValueError(
                f"{name} handles at most {positions} frames at once; this latent has {at_once}. {advice} or lower the "
                "batch size."
            )
        if at_once < trained:
            logging.warning(
                "%s was trained on clips of %d frames, this one has %d: motion will be weak or broken. "
                "The batch size of the latent is the number of frames.",
                name,
                trained,
                at_once,
            )


def _outer_sample(
    executor: Any, noise: Tensor, latent_image: Tensor, sampler: Any, sigmas: Tensor, *args: Any, **kw: Any
) -> Any:
    """Around a whole sampling run: check the clip, and keep the training schedule if a later node replaced it."""
    guider = executor.class_obj
    model = guider.model_patcher
    motions = model.get_additional_models_with_key(KEY)
    frames = noise.shape[0]
    options: dict[str, Any] = guider.model_options  # this run's own
    if HANDLER in options:
        options[HANDLER] = understood(options[HANDLER])
    handler = options.get(HANDLER)
    _check_frames(motions, frames, handler.attended(frames) if isinstance(handler, FrameWindows) else frames)
    check_controls(guider.conds, [config_of(motion).family for motion in motions])
    guider.model_patcher, sigmas = restore_beta_schedule(model, config_of(motions[-1]).beta_schedule, sigmas)
    try:
        return executor(noise, latent_image, sampler, sigmas, *args, **kw)
    finally:
        guider.model_patcher = model


def _calc_cond_batch(
    executor: Any, model: Any, conds: Any, x_in: Tensor, timestep: Tensor, model_options: dict[str, Any]
) -> Any:
    """Around the evaluation of all conds for one clip or window: here, and only here, the batch is the frames."""
    options = {**model_options.get("transformer_options", {}), f"{KEY}_frames": x_in.shape[0]}
    return executor(model, conds, x_in, timestep, {**model_options, "transformer_options": options})


# --- one model call --------------------------------------------------------------------------------------------------


def _modulation(motion: ModelPatcher, moment: Moment, x: Tensor) -> Modulation | None:
    """Strengths as tensors, or None in place of a plain 1 (not of curves that pass 1: a compiled graph stays the same graph).
    None for all if the module adds nothing."""

    def now(strength: Strength) -> Tensor:
        return torch.as_tensor(value_at(strength, moment), dtype=torch.float32).to(x.device)

    settings, loras = settings_of(motion), curved_loras(motion)
    influence = value_at(settings.influence, moment)
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


def _in_range(motion: ModelPatcher, model_sampling: Any, sigma: float) -> bool:
    settings, percent_to_sigma = settings_of(motion), model_sampling.percent_to_sigma
    return percent_to_sigma(settings.end_percent) < sigma <= percent_to_sigma(settings.start_percent)


def _settle(motions: list[ModelPatcher], active: list[ModelPatcher]) -> None:
    """Have the motion modules that act on the device. Those out of range make room; under dynamic VRAM the host sees to it."""
    loaded = comfy.model_management.loaded_models()
    for motion in motions:
        if motion not in active and motion in loaded and not motion.is_dynamic():
            comfy.model_management.unload_model_and_clones(motion)
    if any(motion not in loaded for motion in active):
        in_use = comfy.model_management.loaded_models(only_currently_used=True)
        wanted = [model for motion in active for model in (motion, *motion.get_nested_additional_models())]
        comfy.model_management.load_models_gpu(list(dict.fromkeys([*in_use, *wanted])))


def _active_motions(
    model_sampling: Any, patchers: list[ModelPatcher], moment: Moment, sigma: float, x: Tensor, several_devices: bool
) -> tuple[Motion, ...]:
    """The motion modules whose step range holds ``sigma``, ready to run. On several devices all of them stay where they are:
    there the host calls from threads of its own."""
    in_range = [patcher for patcher in patchers if _in_range(patcher, model_sampling, sigma)]
    if len(patchers) > 1 and not several_devices:
        _settle(patchers, in_range)
    found = [(patcher, _modulation(patcher, moment, x)) for patcher in in_range]
    return tuple(
        Motion(p.model.places(), modulation, config_of(p).norm_scope, tuple(tuple(lora.network.pairs) for lora in curved_loras(p)))
        for p, modulation in found
        if modulation
    )


def _widest_scope(motions: tuple[Motion, ...]) -> str | None:
    """Which of the UNet's norms see all frames, if any motion module needs that."""
    wanted = [scope for scope in SCOPES if any(motion.norm_scope == scope for motion in motions)]
    return wanted[-1] if wanted else None


def _signature(motions: tuple[Motion, ...], views: Views | None) -> str:
    """A name for the structure of what runs, so that torch.compile tells graphs apart (see ``_apply_model``)."""
    parts = [
        (
            sorted((place, block.channels) for place, block in m.blocks.items()),
            [None if value is None else tuple(value.shape) for value in m.modulation[:2]],
            [tuple(strength.shape) for strength in m.modulation.changes.strengths],
            m.lora_layers,
            m.norm_scope,
        )
        for m in motions
    ]
    shapes = views and [tuple(part.shape) for part in views]
    return hashlib.sha256(repr((parts, shapes)).encode()).hexdigest()[:16]


def _check_output(out: Tensor, patchers: list[ModelPatcher], options: dict[str, Any]) -> None:
    """On the first step, trace NaN in the result back to NaN in motion weights. Raises ValueError."""
    first_sigma = options.get("sample_sigmas")
    if first_sigma is None or options["sigmas"].flatten()[0] != first_sigma[0] or not torch.isnan(out).any():
        return
    for patcher in patchers:
        broken = [key for key, tensor in patcher.model.named_parameters() if torch.isnan(tensor).any()]
        if broken:
            raise ValueError(
                f"{settings_of(patcher).name} holds NaN in {len(broken)} tensors (first: {broken[0]}), so every frame would "
                "be black. The file is damaged: download it again."
            )


def _apply_model(
    executor: Any,
    x: Tensor,
    t: Tensor,
    c_concat: Any = None,
    c_crossattn: Any = None,
    control: Any = None,
    transformer_options: dict[str, Any] = {},  # noqa: B006 - the host's own signature; it is never written to
    **kw: Any,
) -> Any:
    """Around one call of the UNet: bring the temporal blocks.

    Motion modules are found on the model's current patcher, never remembered, so clones and devices keep their own.
    Under TorchCompileModel everything read from ``transformer_options`` escapes the compiler's checks; the two extra
    keyword arguments, which the UNet ignores, are checked, and tell it when another graph is needed.
    """
    patchers = executor.class_obj.current_patcher.get_additional_models_with_key(KEY)
    frames = transformer_options.get(f"{KEY}_frames") or x.shape[0] // len(transformer_options["cond_or_uncond"])
    sampling = executor.class_obj.model_sampling
    moment = moment_of_call(transformer_options, x, x.shape[0] // frames, sampling, t)
    several_devices = "multigpu_thread_device" in transformer_options
    motions = _active_motions(sampling, patchers, moment, float(t.flatten()[0]), x, several_devices)
    if not motions:
        return executor(x, t, c_concat, c_crossattn, control, transformer_options, **kw)
    anchors = executor.class_obj.current_patcher.get_attachment(KEY).anchors
    views = transformer_options.get(VIEWS)
    patches = transformer_options.get("patches", {})
    options = {
        **transformer_options,
        "patches": {**patches, LAYER_PATCH: [(SpatialTransformer, _run_layer), (ResBlock, _run_layer)]},
        KEY: ModelCall(anchors, motions, views, patches.get(LAYER_PATCH, [])),
    }
    kw |= {"num_video_frames": frames, f"{KEY}_{_signature(motions, views)}": True}
    with pooled_norms(executor.class_obj.diffusion_model, _widest_scope(motions), frames):
        out = executor(x, t, c_concat, c_crossattn, control, options, **kw)
    _check_output(out, patchers, options)
    return out


def _run_layer(
    layer: Any,
    x: Tensor,
    emb: Tensor,
    context: Any,
    transformer_options: dict[str, Any],
    output_shape: Any,
    time_context: Any,
    num_video_frames: int,
    image_only_indicator: Any,
) -> Tensor:
    """Called by the host in place of a residual block or spatial transformer: run it, then the temporal block.

    The layer itself is left to the host and to patches that other packs registered for it.
    """
    call: ModelCall = transformer_options[KEY]
    inner = {**transformer_options, "patches": {**transformer_options["patches"], LAYER_PATCH: call.others}}
    x = forward_timestep_embed(
        (layer,), x, emb, context, inner, output_shape, time_context, num_video_frames, image_only_indicator
    )
    transformer_options["transformer_index"] = inner["transformer_index"]
    place = transformer_options["block"]
    if place in call.anchors and isinstance(layer, call.anchors[place][0]):
        for motion in call.motions:
            if place in motion.blocks:
                attention = host_attention(transformer_options)
                x = motion.blocks[place](x, num_video_frames, attention, motion.modulation, call.views)
    return x
