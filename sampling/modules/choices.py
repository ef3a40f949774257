"""What a user can choose for a motion module in place of what its authors did: norm scopes and noise schedules, by name.

Called by ``load`` and, for schedules, by ``run.betas``.
"""

from __future__ import annotations

from dataclasses import replace

from ...motion.config import FAMILIES, BetaSchedule, MotionConfig, NormScope, Overrides

AUTHORS = "authors"
LEGACY = "legacy"
LEGACY_V2 = "legacy_v2"
CHECKPOINT = "checkpoint"
NORM_SCOPES: dict[str, NormScope | None] = {
    AUTHORS: None,
    "per_frame": NormScope.PER_FRAME,
    "all": NormScope.ALL,
    LEGACY: None,
    LEGACY_V2: None,
}
"""Choices of a user. ``authors`` is the family's own. ``legacy`` is what AnimateDiff-Evolved does: every norm sees all frames for
files in the layout of v1, none for those of v2 and v3; with ``legacy_v2`` every norm also for v2, as where its
``apply_v2_models_properly`` is off."""

BETA_SCHEDULES: dict[str, BetaSchedule | None] = {
    AUTHORS: None,
    "linear": BetaSchedule("linear"),
    "scaled_linear": BetaSchedule("scaled_linear"),
    "scaled_linear_0.020": BetaSchedule("scaled_linear", end=0.020),
    "mean": BetaSchedule("mean"),
    "lcm_100": BetaSchedule("linear", lcm_steps=100),
    "lcm_100_scaled_linear": BetaSchedule("scaled_linear", lcm_steps=100),
    "lcm_50_linear": BetaSchedule("linear", lcm_steps=50),
    "lcm_50_scaled_linear": BetaSchedule("scaled_linear", lcm_steps=50),
    "lcm_50_mean": BetaSchedule("mean", lcm_steps=50),
    "sqrt": BetaSchedule("sqrt"),
    "cosine": BetaSchedule("cosine"),
    "squaredcos_cap_v2": BetaSchedule("squaredcos_cap_v2"),
    LEGACY: None,
    CHECKPOINT: None,
}
"""Choices of a user. ``authors`` and ``legacy`` depend on the file; with ``checkpoint`` the MODEL's schedule is not changed."""


def with_choices(config: MotionConfig, overrides: Overrides) -> MotionConfig:
    """How a file is run, by what a user chose for it."""
    return replace(
        config,
        norm_scope=norms_named(overrides.norm_scope, config),
        beta_schedule=betas_named(overrides.beta_schedule, config),
    )


def norms_named(name: str, config: MotionConfig) -> NormScope:
    """The norm scope that a user chose from ``NORM_SCOPES`` for a file."""
    if name == AUTHORS:
        return FAMILIES[config.family].norm_scope
    if name in _POOLED_LAYOUTS:
        return NormScope.ALL if _layout(config) in _POOLED_LAYOUTS[name] else NormScope.PER_FRAME
    return NORM_SCOPES[name] or NormScope.PER_FRAME


_POOLED_LAYOUTS = {LEGACY: ("v1",), LEGACY_V2: ("v1", "v2")}


def _layout(config: MotionConfig) -> str:
    """What AnimateDiff-Evolved takes a file for: v2 has a middle, v3 has 32 positions and is for SD1.5, the rest is like v1."""
    family = FAMILIES[config.family]
    if family.name == "pia":
        return "v1"
    if config.has_mid:
        return "v2"
    return "v3" if family.base == "SD1.5" and (config.stored_positions or family.positions) == 32 else "v1"


def betas_named(name: str, config: MotionConfig) -> BetaSchedule | None:
    """The noise schedule that a user chose from ``BETA_SCHEDULES`` for a file; None leaves that of the MODEL."""
    if name == LEGACY and config.family in ("lcm", "i2v") and not config.stored_positions:
        return BETA_SCHEDULES["lcm_50_scaled_linear"]
    return FAMILIES[config.family].beta_schedule if name in (AUTHORS, LEGACY) else BETA_SCHEDULES[name]
