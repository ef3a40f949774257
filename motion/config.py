"""What distinguishes one motion module from another: one row per family, one record per file.

Used by ``checkpoint`` (which row a file belongs to), ``model`` (sizes) and ``sampling`` (schedule, frame limits).
"""

from __future__ import annotations

from dataclasses import dataclass

HEADS = 8
"""Attention heads of every public motion module, whatever its channels."""


@dataclass(frozen=True)
class BetaSchedule:
    """Noise schedule a family was trained with: 1000 betas from ``start`` to ``end``.

    ``curve`` is the authors' name: ``linear`` spaces the betas evenly, ``scaled_linear`` their square roots.
    (Latent-diffusion code, the host's included, calls these ``sqrt_linear`` and ``linear``.)
    """

    curve: str
    start: float
    end: float


@dataclass(frozen=True)
class Family:
    """How the authors trained a family. ``frames`` is the clip length of the training videos."""

    name: str
    label: str
    base: str
    frames: int
    beta_schedule: BetaSchedule


_SD15_BETAS = BetaSchedule("linear", 0.00085, 0.012)

FAMILIES = {
    family.name: family
    for family in (
        Family("v2", "AnimateDiff v2 (mm_sd_v15_v2 and its finetunes)", "SD1.5", 16, _SD15_BETAS),
        Family("v3", "AnimateDiff v3 (v3_sd15_mm)", "SD1.5", 16, _SD15_BETAS),
    )
}


@dataclass(frozen=True)
class MotionConfig:
    """Sizes of one motion module file, all of them read from its tensors.

    Attributes:
        family: key into ``FAMILIES``.
        down_channels: channels per down level, e.g. ``(320, 640, 1280, 1280)``; up levels mirror them.
        has_mid: whether the file has a temporal block in the UNet's middle.
        attention_blocks: temporal attentions per block (2 in every motion module).
        positions: rows of the positional encoding, the most frames one call can take.
    """

    family: str
    down_channels: tuple[int, ...]
    has_mid: bool
    attention_blocks: int
    positions: int

    @property
    def up_channels(self) -> tuple[int, ...]:
        """Channels per up level, in the order the UNet runs them."""
        return self.down_channels[::-1]
