"""Put motion modules to work on a MODEL, without changing anything of the UNet.

``animate`` clones a MODEL and registers on the clone: the motion module as an additional model, the wrappers around a
sampling run (``around``) and around a call of the UNet (``call``), the training schedule and, if asked for, context
windows. Several motion modules may be on one MODEL, each with its range of steps.
"""

from __future__ import annotations

from ..host.memory import ModelPatcher
from ..host.wrappers import MOTION, CallbacksMP, WrappersMP, put_callback, put_wrapper
from ..modules.settings import config_of, family_of, settings_of, without_dynamic
from ..windows.options import WindowOptions, as_window_options
from .around import check_alone, follow
from .betas import set_beta_schedule
from .call import apply_model
from .layers import Anchors, find_anchors
from .windowed import set_windows


def _check_base(model: ModelPatcher, motion: ModelPatcher) -> Anchors:
    """Raise ValueError unless every temporal block has a site of its size in the UNet."""
    base, name = family_of(motion).base, settings_of(motion).name
    got = type(model.model.model_config).__name__
    anchors = find_anchors(model.get_model_object("diffusion_model"))
    if anchors is None:
        raise ValueError(f"{name} is a motion module for {base}, this MODEL is {got}. Load an {base} checkpoint.")
    for site, block in motion.model.sites().items():
        channels = anchors[site][1] if site in anchors else 0
        if channels != block.channels:
            raise ValueError(
                f"{name} is a motion module for {base}, this MODEL is {got}: UNet block {site[0]} {site[1]} has "
                f"{channels} channels, the module {block.channels}. Load an {base} checkpoint, or the module for {got}."
            )
    return anchors


def _check_windows(motion: ModelPatcher, context: WindowOptions) -> None:
    """Raise ValueError for windows that are longer than the module's positions."""
    positions, longest = config_of(motion).positions, max(options.length for options in context.plan)
    if longest > positions:
        raise ValueError(
            f"{settings_of(motion).name} handles at most {positions} frames at once, context_length is {longest}. Set it "
            f"to {positions} or less."
        )


def animate(model: ModelPatcher, motion: ModelPatcher, context: WindowOptions | None = None) -> ModelPatcher:
    """MODEL + ANIMATEDIFF_MODULE -> an animated MODEL, for any sampler or guider. The given MODEL is not changed.

    Raises:
        ValueError: module and MODEL are of different bases, windows are longer than the module's positions, or the MODEL has
            this module already, or one of another pack.
    """
    anchors = _check_base(model, motion)
    check_alone(model)
    if context is not None:
        context = as_window_options(context)
        _check_windows(motion, context)
    present = model.get_additional_models_with_key(MOTION)
    if any(motion.is_clone(other) for other in present):
        raise ValueError(f"{settings_of(motion).name} is already on this MODEL. Remove one of the two nodes.")
    model = model.clone()
    model.set_additional_models(MOTION, [*model.get_additional_models_with_key(MOTION), motion.clone()])
    model.set_attachments(MOTION, anchors)
    put_wrapper(model, WrappersMP.APPLY_MODEL, MOTION, apply_model)
    put_callback(model, CallbacksMP.ON_CLONE, MOTION, _leave_dynamic_vram_together)
    set_beta_schedule(model, config_of(motion).beta_schedule)
    follow(model)
    if context is not None:
        set_windows(model, context)
    return model


def _leave_dynamic_vram_together(_: ModelPatcher, clone: ModelPatcher) -> None:
    """A MODEL taken out of dynamic VRAM (by weight hooks, by compilation) takes its motion modules along."""
    motions = clone.get_additional_models_with_key(MOTION)
    if not clone.is_dynamic() and any(motion.is_dynamic() for motion in motions):
        clone.set_additional_models(MOTION, [without_dynamic(motion) for motion in motions])
