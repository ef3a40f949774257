"""What distinguishes one motion module from another: one row per family, one record per file.

Used by ``describe`` and ``checkpoint`` (which row a file belongs to), ``model`` (sizes) and ``sampling`` (schedule,
norms, frame limits).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Flag, auto

HEADS = 8
"""Attention heads of every public motion module, whatever its channels."""


@dataclass(frozen=True)
class BetaSchedule:
    """A noise schedule over 1000 training steps.

    ``curve`` is the authors' name: ``linear`` spaces the betas evenly from ``start`` to ``end``, ``scaled_linear`` their square
    roots, ``sqrt`` their squares. (Latent-diffusion code, the host's included, calls the first two ``sqrt_linear`` and ``linear``.)
    ``mean`` has the mean sigmas of ``linear`` and ``scaled_linear``; ``cosine`` and ``squaredcos_cap_v2`` have no start or end.
    ``lcm_steps`` is the number of training steps a latent consistency model was distilled on, 0 for all others.
    """

    curve: str
    start: float = 0.00085
    end: float = 0.012
    lcm_steps: int = 0

    def __str__(self) -> str:
        ends = "" if self.curve in ENDLESS_CURVES else f" {self.start:g} to {self.end:g}"
        steps = f", LCM on {self.lcm_steps} steps" if self.lcm_steps else ""
        return f"{self.curve}{ends}{steps}"


ENDLESS_CURVES = ("cosine", "squaredcos_cap_v2")
"""Beta curves without a start and an end to choose."""


class NormScope(Flag):
    """Which group norms take their statistics over all frames of a window; scopes may be combined."""

    PER_FRAME = 0
    """None."""
    UNET = auto()
    """Those of the UNet's residual blocks and output."""
    TRANSFORMERS = auto()
    """The UNet's others: those of its spatial transformers. No family was trained so, but older packs pool them."""
    MOTION = auto()
    """The temporal block's own."""
    ALL_UNET = UNET | TRANSFORMERS
    ALL = ALL_UNET | MOTION


@dataclass(frozen=True)
class Sampling:
    """Settings the authors recommend, in the host's names."""

    sampler: str = "ddim"
    scheduler: str = "ddim_uniform"
    steps: int = 25
    cfg: float = 7.5

    def __str__(self) -> str:
        return f"{self.sampler}, {self.scheduler}, {self.steps} steps, CFG {self.cfg:g}"


@dataclass(frozen=True)
class Family:
    """How the authors trained a family.

    Attributes:
        frames: length of the training clips.
        positions: rows of the positional encoding, for files that store none.
        note: what this pack leaves out of the file, or what the user should know.
    """

    name: str
    label: str
    base: str = "SD1.5"
    frames: int = 16
    positions: int = 32
    norm_scope: NormScope = NormScope.PER_FRAME
    beta_schedule: BetaSchedule = BetaSchedule("linear")
    sampling: Sampling = Sampling()
    note: str = ""


_LCM = BetaSchedule("linear", lcm_steps=100)
_LCM_SAMPLING = Sampling("lcm", "sgm_uniform", 8, 1.5)

FAMILIES = {
    family.name: family
    for family in (
        Family("v1", "AnimateDiff v1 (v14, v15, TemporalDiff, Stabilized)", positions=24, norm_scope=NormScope.UNET),
        Family("v2", "AnimateDiff v2 (mm_sd_v15_v2, mm-p)"),
        Family("v3", "AnimateDiff v3 (v3_sd15_mm)", note="goes with the domain adapter v3_sd15_adapter"),
        Family("lightning", "AnimateDiff-Lightning", sampling=Sampling("euler", "sgm_uniform", 4, 1.0)),
        Family("lcm", "AnimateLCM", positions=64, beta_schedule=_LCM, sampling=_LCM_SAMPLING,
               note="goes with the LoRA AnimateLCM_sd15_t2v_lora"),
        Family("i2v", "AnimateLCM-I2V", positions=64, sampling=_LCM_SAMPLING,
               beta_schedule=BetaSchedule("linear", end=0.014, lcm_steps=200),
               note="its image encoder is not used yet: this is the motion part alone"),
        Family("long32", "LongAnimateDiff, 32 frames", frames=32, positions=64,
               note="its authors advise an attention scale of 1.15 (Motion Settings)"),
        Family("long64", "LongAnimateDiff, 64 frames", frames=64, positions=128,
               note="made for 16 to 64 frames; its authors advise an attention scale of 1.28 (Motion Settings)"),
        Family("pia", "PIA", norm_scope=NormScope.UNET,
               note="its image input is not used yet: this is the motion part alone"),
        Family("sdxl", "AnimateDiff-SDXL beta", base="SDXL", norm_scope=NormScope.MOTION,
               beta_schedule=BetaSchedule("scaled_linear", end=0.020),
               sampling=Sampling("euler", "ddim_uniform", 100, 8.5), note="made for 1024x1024 pixels"),
        Family("hotshot", "HotshotXL", base="SDXL", frames=8, positions=24, norm_scope=NormScope.UNET,
               beta_schedule=BetaSchedule("scaled_linear"),
               sampling=Sampling("euler_ancestral", "ddim_uniform", 30, 5.0), note="made for 512x512 pixels"),
    )
}  # fmt: skip

@dataclass(frozen=True)
class Overrides:
    """What a user sets by hand, because keys cannot tell it apart; the defaults leave everything to the file.

    ``norm_scope`` and ``beta_schedule`` are names of choices, which whoever loads the file carries out.
    """

    family: str = "auto"
    norm_scope: str = "authors"
    positions: int = 0
    beta_schedule: str = "authors"


@dataclass(frozen=True)
class MotionConfig:
    """One motion module file: sizes read from its tensors, and how its family is run.

    Attributes:
        family: key into ``FAMILIES``.
        down_channels: channels per down level, e.g. ``(320, 640, 1280, 1280)``; up levels mirror them.
        has_mid: whether the file has a temporal block in the UNet's middle.
        attention_blocks: temporal attentions per block (2 in every motion module).
        positions: rows of the positional encoding, the most frames one call can take.
        stored_positions: rows that the file itself stores, 0 for none.
        norm_scope: which norms see all frames.
        beta_schedule: None leaves that of the MODEL.
    """

    family: str
    down_channels: tuple[int, ...]
    has_mid: bool
    attention_blocks: int
    positions: int
    stored_positions: int = 0
    norm_scope: NormScope = NormScope.PER_FRAME
    beta_schedule: BetaSchedule | None = None

    @property
    def up_channels(self) -> tuple[int, ...]:
        """Channels per up level, in the order the UNet runs them."""
        return self.down_channels[::-1]


def with_family(config: MotionConfig, overrides: Overrides) -> MotionConfig:
    """Fill in how the family is run, as its authors trained it. ``config.positions`` 0 means that the file stores none.

    Raises:
        ValueError: a family of another base.
    """
    name = config.family if overrides.family == "auto" else overrides.family
    family, own = FAMILIES[name], FAMILIES[config.family]
    if family.base != own.base:
        raise ValueError(f"is a motion module for {own.base}, the family {name} is for {family.base}. Use auto.")
    return replace(
        config,
        family=name,
        positions=overrides.positions or config.positions or family.positions,
        stored_positions=config.positions,
        norm_scope=family.norm_scope,
        beta_schedule=family.beta_schedule,
    )
