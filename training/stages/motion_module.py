"""Stage 2 of the paper: all weights of the temporal blocks, from nothing or from a file, on a frozen image model.

Source: Guo et al. 2023, arXiv 2307.04725, section 4.2: proj_out begins at zero, so that the animated model begins as the image model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...motion.attention import sinusoidal_positions
from ...motion.config import FAMILIES, MotionConfig, Overrides, with_family
from ...motion.model import DOWN_BLOCKS_PER_LEVEL, MotionModel
from ...sampling.host.controls import Conditioning
from ...sampling.host.memory import TABLE, ModelPatcher
from ...sampling.modules.settings import SETTINGS, ModuleSettings, config_of, settings_of
from ...sampling.run.animate import animate
from ...sampling.run.layers import find_anchors
from ...sampling.run.remove import without_motion
from ..host.checkpointing import CheckpointedMotion
from ..host.copies import private_copy, weights_of, wrapped
from ..host.layers import MasterLayers
from ..loop.settings import TrainingSettings
from ..loop.watch import Trained
from .clips import Run, as_file, clips_of, train, warn_of_short_clips


@dataclass(frozen=True)
class FromScratch:
    """A motion module that does not exist yet.

    Attributes:
        family: key of ``FAMILIES``, which decides its schedule and norms; "" is v3 for SD1.5, v2 with a middle block, sdxl for SDXL.
        has_mid: a temporal block in the UNet's middle, as v2 has.
        positions: the most frames it can take at once.
    """

    family: str = ""
    has_mid: bool = False
    positions: int = 32


def config_for(model: ModelPatcher, start: FromScratch) -> MotionConfig:
    """The sizes of a motion module for a MODEL.

    Raises:
        ValueError: not a UNet of SD1.5's or SDXL's layout, a family of the other, or a middle block for SDXL.
    """
    anchors = find_anchors(model.get_model_object("diffusion_model"))
    step = DOWN_BLOCKS_PER_LEVEL + 1
    sites = [("input", 1 + step * level) for level in range(4)]
    channels = tuple(anchors[site][1] for site in sites if site in anchors) if anchors else ()
    if len(channels) not in (3, 4):
        got = type(model.model.model_config).__name__
        raise ValueError(f"Motion modules are trained on SD1.5 or SDXL, this MODEL is {got}. Load such a checkpoint.")
    base = "SD1.5" if len(channels) == 4 else "SDXL"
    family = start.family or ("sdxl" if base == "SDXL" else "v2" if start.has_mid else "v3")
    if FAMILIES[family].base != base:
        raise ValueError(f"The family {family} is for {FAMILIES[family].base}, this MODEL is {base}. Choose another family or MODEL.")
    if start.has_mid and base == "SDXL":
        raise ValueError("No motion module for SDXL has a middle block, got has_mid. Switch it off.")
    own = MotionConfig(family, channels, start.has_mid, 2, start.positions)
    return with_family(own, Overrides())


def _fresh(config: MotionConfig, seed: int, network: type[MotionModel]) -> MotionModel:
    """A network with the weights that torch gives layers, proj_out zero and the sinusoid tables."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed % 2**63)
        made = network(config, MasterLayers, device="cpu", dtype=torch.float32)
    for name, parameter in made.named_parameters():
        if ".proj_out." in name:
            nn.init.zeros_(parameter)
    for name, table in made.named_buffers():
        if name.endswith(TABLE):
            table.copy_(sinusoidal_positions(config.positions, table.shape[-1]))
    return made


def network_of(model: ModelPatcher, start: ModelPatcher | FromScratch, settings: TrainingSettings) -> MotionModel:
    """What is trained, fp32. Call it outside of inference mode."""
    network = CheckpointedMotion if settings.gradient_checkpointing else MotionModel
    if isinstance(start, FromScratch):
        return _fresh(config_for(model, start), settings.seed, network)
    made = network(config_of(start), MasterLayers, device="meta", dtype=torch.float32)
    made.load_state_dict(weights_of(start), strict=True, assign=True)
    return made


def train_motion_module(
    model: ModelPatcher,
    latents: Sequence[Tensor],
    positive: Sequence[Conditioning],
    settings: TrainingSettings,
    start: ModelPatcher | FromScratch = FromScratch(),
    run: Run | None = None,
) -> Trained:
    """Train a motion module.

    Args:
        model: MODEL, with whatever adapter is on it. It is not changed, and neither is the module.
        latents: ``(F, C, h, w)`` per clip, in the autoencoder's scale as on LATENT sockets.
        positive: the host's CONDITIONING per clip, or one for all.
        start: an ANIMATEDIFF_MODULE to go on from, or the sizes of a new one.

    Returns:
        A motion module file in the original spelling.

    Raises:
        ValueError: clips, captions, MODEL and module do not fit each other, or the state is that of another training.
    """
    run, image_model = run or Run(), without_motion(model)
    config = config_for(image_model, start) if isinstance(start, FromScratch) else config_of(start)
    clips = clips_of(latents, positive, run.untold, config.positions)
    if not isinstance(start, FromScratch):
        animate(image_model, start)  # says what does not fit
        warn_of_short_clips(start, clips, run)
    with torch.inference_mode(False):
        network = network_of(image_model, start, settings)
        network.requires_grad_(True)
        motion = wrapped(network)
        name = "a new motion module" if isinstance(start, FromScratch) else settings_of(start).name
        motion.set_attachments(SETTINGS, ModuleSettings(name, in_training=True))
        trainee = animate(private_copy(image_model, settings.training_dtype), motion)
        trained = train("motion module", trainee, clips, settings, run, lambda: dict(network.named_parameters()))
    tables = {key: table for key, table in network.named_buffers() if key.endswith(TABLE)}
    return as_file(trained, tables, {"family": config.family})
