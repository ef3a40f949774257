"""Stage 1 of the paper: a low-rank change of the image model's attention that takes up what the clips look like.

Source: Guo et al. 2023, arXiv 2307.04725, section 4.1: trained on single frames with motion off, so that a motion module that is
trained with it on learns motion alone; left out, or lowered, when sampling.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...sampling.host.controls import Conditioning
from ...sampling.host.memory import ModelPatcher
from ...sampling.run.layers import find_anchors
from ...sampling.run.remove import without_motion
from ..host.adapters import put_changes
from ..host.copies import private_copy
from ..loop.draws import generator
from ..loop.problem import Seen
from ..loop.settings import TrainingSettings
from ..loop.watch import Trained
from .clips import Run, as_lora, check_rank, clips_of, train


def train_domain_adapter(
    model: ModelPatcher,
    latents: Sequence[Tensor],
    positive: Sequence[Conditioning],
    settings: TrainingSettings,
    rank: int = 128,
    pictures: int = 4,
    run: Run | None = None,
) -> Trained:
    """Train a domain adapter.

    Args:
        model: MODEL; it is not changed, and a motion module on it does not act.
        latents: ``(F, C, h, w)`` per clip, in the autoencoder's scale as on LATENT sockets.
        positive: the host's CONDITIONING per clip, or one for all.
        rank: 1 to 128.
        pictures: how many random frames of a clip each model call holds, as pictures of their own.

    Returns:
        A LoRA of the image model with the keys of v3_sd15_adapter; alpha, in its metadata, is the rank.

    Raises:
        ValueError: clips and captions do not fit each other, the MODEL is none of SD1.5 or SDXL, or the state is that of another
            training.
    """
    run, image_model = run or Run(), without_motion(model)
    check_rank(rank)
    if pictures < 1:
        raise ValueError(f"pictures must be at least 1, got {pictures}. Raise it.")
    clips = clips_of(latents, positive, run.untold)
    if find_anchors(image_model.get_model_object("diffusion_model")) is None:
        got = type(model.model.model_config).__name__
        raise ValueError(f"Domain adapters are trained on SD1.5 or SDXL, this MODEL is {got}. Load such a checkpoint.")
    with torch.inference_mode(False):
        private = private_copy(image_model, settings.training_dtype)
        changes = put_changes(private, rank, generator(settings.seed, "weights"))

        def parameters() -> dict[str, nn.Parameter]:
            return {f"{name}.{part}": p for name, change in changes.items() for part, p in change.named_parameters()}

        trained = train(f"domain adapter of rank {rank}", private, clips, settings, run, parameters, Seen(pictures))
    return as_lora(trained, {name: name for name in changes}, rank)
