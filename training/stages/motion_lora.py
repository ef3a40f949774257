"""Stage 3 of the paper: a low-rank change of a motion module's attention, for one camera move or one way to move.

Source: Guo et al. 2023, arXiv 2307.04725, section 4.3. The change runs beside the frozen module while it is trained, as a motion LoRA
whose strength is a curve does when sampling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ...motion.lora import attention_parameters
from ...motion.low_rank import LowRankNetwork
from ...motion.model import MotionModel
from ...sampling.host.controls import Conditioning
from ...sampling.host.memory import ModelPatcher
from ...sampling.modules.settings import CURVED_LORAS, SETTINGS, STRENGTH, ModuleSettings, config_of, settings_of
from ...sampling.run.animate import animate
from ...sampling.run.remove import without_motion
from ...sampling.timeline.curve import Curve
from ...sampling.timeline.keyframes import Timeline
from ..host.adapters import begin
from ..host.checkpointing import CheckpointedMotion
from ..host.copies import private_copy, weights_of, wrapped
from ..host.layers import MasterLayers
from ..loop.draws import generator
from ..loop.problem import Seen
from ..loop.settings import TrainingSettings
from ..loop.watch import Trained
from .clips import Run, as_lora, check_rank, clips_of, train, warn_of_short_clips


def train_motion_lora(
    model: ModelPatcher,
    motion: ModelPatcher,
    latents: Sequence[Tensor],
    positive: Sequence[Conditioning],
    settings: TrainingSettings,
    rank: int = 64,
    run: Run | None = None,
    strengths: Sequence[float] = (),
) -> Trained:
    """Train a motion LoRA.

    Args:
        model: MODEL, with whatever adapter is on it. Neither it nor the module is changed.
        motion: ANIMATEDIFF_MODULE that the LoRA is for, with whatever motion LoRAs of plain strength are on it.
        latents: ``(F, C, h, w)`` per clip, in the autoencoder's scale as on LATENT sockets.
        positive: the host's CONDITIONING per clip, or one for all.
        rank: 1 to 128.
        strengths: of the LoRA at each clip, one for all, or none for 1. Where clips show a move by different amounts, and each has its
            amount as strength, a strength is an amount afterwards (as the scales of Concept Sliders, Gandikota et al. 2023, arXiv 2311.12092).

    Returns:
        A motion LoRA file in the original spelling; alpha, in its metadata, is the rank.

    Raises:
        ValueError: clips, captions, strengths, MODEL and module do not fit each other, or the state is that of another training.
    """
    run, image_model = run or Run(), without_motion(model)
    check_rank(rank)
    clips = clips_of(latents, positive, run.untold, config_of(motion).positions)
    animate(image_model, motion)  # says what does not fit
    warn_of_short_clips(motion, clips, run)
    with torch.inference_mode(False):
        lora = _fresh(motion, rank, settings.seed)
        trainee = animate(private_copy(image_model, settings.training_dtype), _with_lora(motion, lora, settings.gradient_checkpointing))
        stage, seen = f"motion LoRA of rank {rank}", Seen(act=_acting(lora), strengths=_strengths(strengths, len(clips.latents)))
        trained = train(stage, trainee, clips, settings, run, lambda: dict(lora.named_parameters()), seen)
    names = {f"pairs.{name}": name.replace("/", ".") for name in lora.pairs}
    return as_lora(trained, names, rank)


def _fresh(motion: ModelPatcher, rank: int, seed: int) -> LowRankNetwork:
    """A LoRA of all temporal attentions that changes nothing yet."""
    shapes = attention_parameters({key: tuple(weight.shape) for key, weight in motion.model.named_parameters()})
    sizes = {name: (in_, rank, out) for name, (out, in_) in sorted(shapes.items())}
    lora = LowRankNetwork(sizes, MasterLayers, device="meta").to_empty(device="cpu")
    random = generator(seed, "weights")
    for pair in lora.pairs.values():
        begin(pair.down, pair.up, random)  # type: ignore[arg-type]
    return lora.requires_grad_(True)


def _strengths(given: Sequence[float], clips: int) -> tuple[float, ...]:
    """One for each clip, or none when all are 1."""
    each = [float(strength) for strength in given] * (clips if len(given) == 1 else 1)
    if each and len(each) != clips:
        raise ValueError(
            f"Needed one strength per clip, got {len(each)} strengths for {clips} clips. Give one for each, one for all, or none; Camera Clips "
            "puts them out in the order of its clips."
        )
    if wrong := [strength for strength in each if not math.isfinite(strength)]:
        raise ValueError(f"A clip's strength is a number, got {wrong[0]}. 1 is the whole move, 0.5 half of it, -1 its opposite.")
    if each and not any(each):
        raise ValueError("All clips have the strength 0, at which a LoRA does nothing and learns nothing. Give clips of other strengths.")
    return () if all(strength == 1.0 for strength in each) else tuple(each)


def _acting(lora: LowRankNetwork) -> Callable[[float], None]:
    """Gives the LoRA a strength, and returns what sets it."""
    strengths = [1.0]

    def acting(_: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> Tensor:
        return out * strengths[0]

    for pair in lora.pairs.values():
        pair.register_forward_hook(acting)

    def act(strength: float) -> None:
        strengths[0] = strength

    return act


def _with_lora(motion: ModelPatcher, lora: LowRankNetwork, checkpointing: bool) -> ModelPatcher:
    """A private, frozen copy of a module, and the LoRA beside its weights at strength 1."""
    network = (CheckpointedMotion if checkpointing else MotionModel)(config_of(motion), MasterLayers, device="meta")
    network.load_state_dict(weights_of(motion, None), strict=True, assign=True)
    network.requires_grad_(False)
    private, change = wrapped(network), wrapped(lora)
    private.set_attachments(SETTINGS, ModuleSettings(settings_of(motion).name, in_training=True))
    change.set_attachments(STRENGTH, Curve(Timeline(values=(1.0,))))
    private.set_additional_models(CURVED_LORAS, [change])
    return private
