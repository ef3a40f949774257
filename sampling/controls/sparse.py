"""SparseCtrl as a control of the host: images pin some frames of an animation, the others follow.

``SparseControl`` travels on a CONTROL_NET socket, works in the host's Apply ControlNet, beside other controls and in context
windows, ours or the host's. It is loaded by ``nodes.load``, and set up by ``with_sparse_settings`` or ``apply_sparse_control``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...motion.module import Modulation
from ...motion.sparse_control import RGB, SCRIBBLE, SparseConfig
from ..frames import call_of
from ..host.controls import OWN_KINDS, SD15, Conditioning, Conds, ControlNet, Residuals, apply_control
from ..host.memory import ModelPatcher, kept_loaded
from ..host.sample import VAE, pixels_per_latent, scaled_to
from ..host.wrappers import HostOptions
from ..timeline.curve import Curve, Strength, as_strength
from .chain import acts_at, controls_of
from .curve import weighted_residuals, with_control_curve
from .images import images_and_vae
from .placement import SparseSettings, describe_placement, placed, shown_in
from .sparse_network import load_sparse_network

RECOMMENDED = "v3"
"""The family of motion module that SparseCtrl was trained with."""


class SparseControl(ControlNet):
    """A SparseCtrl model on a CONTROL_NET socket."""

    handles_context_windows = True

    def __init__(self, model: ModelPatcher, config: SparseConfig, name: str, device: torch.device | None, dtype: torch.dtype | None) -> None:
        rgb = config.kind == RGB
        super().__init__(
            compression_ratio=1 if rgb else 8,
            latent_format=SD15() if rgb else None,
            load_device=device,
            manual_cast_dtype=dtype,
            extra_conds=[],
        )
        self.control_model, self.control_model_wrapped = model.model, model  # the host would make a model of its own
        self.config = config
        self.name = name
        self.settings = SparseSettings()
        self._images: tuple[tuple[int, int] | None, Tensor | None] = (None, None)
        self._weights: Tensor | None = None

    def copy(self) -> SparseControl:
        """Called by Apply ControlNet; shares the network."""
        model: ModelPatcher = self.control_model_wrapped
        c = SparseControl(model, self.config, self.name, self.load_device, self.manual_cast_dtype)
        self.copy_to(c)
        c.settings = self.settings
        return c

    def with_settings(self, settings: SparseSettings) -> SparseControl:
        """A copy that is used in another way."""
        c = self.copy()
        c.settings = settings
        return c

    def set_cond_hint(
        self,
        cond_hint: Tensor,
        strength: float = 1.0,
        timestep_percent_range: tuple[float, float] = (0.0, 1.0),
        vae: VAE | None = None,
        extra_concat: Sequence[Tensor] = (),
    ) -> SparseControl:
        """Called by Apply ControlNet with images ``(N, C, H, W)``, which may carry their VAE.

        Raises:
            ValueError: a VAE or colours are missing, or it is no image.
        """
        cond_hint, vae = images_and_vae(cond_hint, vae)
        if not isinstance(cond_hint, Tensor):
            raise ValueError(f"{self.name} needs images; got {type(cond_hint).__name__}. Connect them without a preprocessor.")
        if self.config.kind == RGB and vae is None:
            raise ValueError(
                f"{self.name} (SparseCtrl RGB) needs a VAE to encode its images. Connect that of the checkpoint, here or to "
                "Images for SparseCtrl."
            )
        super().set_cond_hint(cond_hint, strength, timestep_percent_range, vae, [*extra_concat])
        if cond_hint.ndim != 4 or cond_hint.shape[1] < 3:
            raise ValueError(f"{self.name} needs images with 3 colours; got {tuple(cond_hint.movedim(1, -1).shape)}.")
        self._images = (None, None)
        return self

    def cleanup(self) -> None:
        self._weights = None
        super().cleanup()

    def get_control(
        self, x_noisy: Tensor, t: Tensor, cond: Any, batched_number: int, transformer_options: HostOptions
    ) -> Residuals | None:
        """Called by the host at every model call; puts the images where the frames of this call want them."""
        schedule: Any = self.model_sampling_current
        call = call_of(transformer_options, x_noisy, batched_number, schedule, t)
        self._check_length(call.frames if call.views is None else call.views.windows.shape[1])
        if acts_at(self, t):
            images: Any = self.cond_hint_original
            shown = shown_in(placed(self.settings, images.shape[0], call.full), call.indices, self.settings.nearest)
            self.cond_hint = self._hint(shown, call.frames, x_noisy).repeat(batched_number, 1, 1, 1)
            self._weights = self._frame_weights(shown, call.indices, batched_number)
        motion = self._modulation(x_noisy.device)
        self.extra_args = {**self.extra_args, "frames": call.frames, "views": call.views, "motion": motion}
        return super().get_control(x_noisy, t, cond, batched_number, transformer_options)

    def _check_length(self, at_once: int) -> None:
        positions = self.config.motion.positions
        if at_once > positions and self.settings.motion:
            raise ValueError(
                f"{self.name} (SparseCtrl) handles at most {positions} frames at once; got {at_once}. Add Context Window "
                f"Options of at most {positions} frames, or lower the batch size."
            )

    def _modulation(self, device: torch.device) -> Modulation | None:
        """How strongly its temporal blocks act; None for not at all."""
        strength, scale = self.settings.motion, self.settings.attention_scale
        if not strength:
            return None
        # Nothing is multiplied by 1, so that what was never set costs nothing.
        return Modulation(
            None if strength == 1.0 else torch.tensor(strength, device=device),
            None if scale == 1.0 else torch.tensor(scale, device=device),
        )

    def _prepared(self, x: Tensor) -> Tensor:
        """The images as the network wants them, ``(N, C, H, W)``; made once for a size of latents."""
        size = (x.shape[-2], x.shape[-1])
        known, images = self._images
        if images is None or known != size:
            given: Any = self.cond_hint_original
            vae: Any = self.vae
            ratio = pixels_per_latent(vae) if self.config.kind == RGB else 8
            images = scaled_to(given[:, :3], [side * ratio for side in size], self.settings.resize).clamp(0, 1)
            if self.config.kind == RGB:
                with kept_loaded():
                    images = SD15().process_in(vae.encode(images.movedim(1, -1)))
            self._images = (size, images)
        return images

    def _hint(self, shown: dict[int, int], frames: int, x: Tensor) -> Tensor:
        """``(F, C + 1, H, W)``: the images at their positions, and in the last channel where there is one."""
        images = self._prepared(x)
        # Filled where it is used, so that only the images travel, not the empty frames.
        kw = {"device": x.device, "dtype": self.manual_cast_dtype}
        hint = torch.zeros(frames, images.shape[1] + 1, *images.shape[2:], **kw)
        for position, number in shown.items():
            hint[position, :-1] = images[number]
            hint[position, -1] = self.settings.presence
        return hint

    def _frame_weights(self, shown: dict[int, int], indices: Sequence[int], conds: int) -> Tensor | None:
        """What to multiply the output of each frame with, ``(B·F, 1, h, w)``; None for nothing."""
        mask, hinted, unhinted = self.settings.strength_mask, self.settings.hinted, self.settings.unhinted
        if mask is None and hinted == unhinted == 1.0:
            return None
        weights = torch.ones(len(indices), 1, 1, 1)
        if mask is not None:
            mask = mask.reshape(-1, 1, *mask.shape[-2:])
            weights = mask[[frame % mask.shape[0] for frame in indices]].clone()
        for position in range(len(indices)):
            weights[position] *= hinted if position in shown else unhinted
        return weights.repeat(conds, 1, 1, 1)

    def control_merge(self, control: Residuals, control_prev: Residuals | None, output_dtype: torch.dtype | None) -> Residuals:
        """Called by the host with what the network gives, before it is scaled and added to other controls'."""
        weights = self._weights
        if weights is not None:
            control = weighted_residuals(control, weights)
        return super().control_merge(control, control_prev, output_dtype)


# --- for the nodes ---------------------------------------------------------------------------------------------------


def load_sparse_control(path: str | Path) -> SparseControl:
    """Load a SparseCtrl file. Raises ValueError for anything else, saying what it is."""
    config, model = load_sparse_network(path)
    return SparseControl(model, config, Path(path).name, model.load_device, model.model.dtype)


def describe_sparse_control(control: SparseControl) -> str:
    """A few lines for the user: what a SparseCtrl file is and wants."""
    wants = "images (a VAE encodes them)" if control.config.kind == RGB else "drawings, white lines on black"
    return (
        f"SparseCtrl {'RGB' if control.config.kind == RGB else SCRIBBLE}, for SD1.5\n"
        f"takes {wants}; up to {control.config.motion.positions} frames at once\nmade for the motion module v3_sd15_mm"
    )


def _as_sparse(control: Any) -> SparseControl:
    """Raise ValueError for another control."""
    if not isinstance(control, SparseControl):
        raise ValueError(
            f"Needed a SparseCtrl model, got {type(control).__name__}. Load it with Load SparseCtrl; for other controls use "
            "Apply ControlNet."
        )
    return control


def with_sparse_settings(control: Any, settings: SparseSettings) -> SparseControl:
    """CONTROL_NET -> CONTROL_NET that carries how it is used, for Apply ControlNet. Raises ValueError for another control."""
    return _as_sparse(control).with_settings(settings)


def apply_sparse_control(
    positive: Conditioning,
    negative: Conditioning,
    control: Any,
    images: Tensor,
    vae: VAE | None,
    settings: SparseSettings,
    strength: Strength,
    percents: tuple[float, float],
    frames: int | None,
) -> tuple[Conditioning, Conditioning, str]:
    """CONDITIONING twice -> the same with SparseCtrl, as the host's Apply ControlNet does it, and a drawing of where the images go.

    Args:
        settings: of these, what only ``with_sparse_settings`` can set is taken from the control.
        strength: 1.0 as trained; may be a curve.
        frames: how many the animation has, if known; else the images are placed when it is sampled.

    Raises:
        ValueError: no SparseCtrl, no VAE for images, or images that do not fit the animation.
    """
    control = _as_sparse(control)
    known = control.settings
    kept = {"hinted": known.hinted, "presence": known.presence, "attention_scale": known.attention_scale, "resize": known.resize}
    settings = replace(settings, **kept)
    text = "connect the latent to see which frame has which image"
    if frames is not None:
        text = describe_placement(placed(settings, len(images), frames), frames)
    control = control.with_settings(settings)
    strength = as_strength(strength)
    curve, number = (strength, 1.0) if isinstance(strength, Curve) else (None, strength)
    conditioning = apply_control(positive, negative, control, images, number, percents, vae)
    positive, negative = with_control_curve(conditioning, curve) if curve else conditioning
    return positive, negative, text


def check_controls(conds: Conds, families: Sequence[str]) -> list[str]:
    """Before an animation is sampled: a warning if SparseCtrl is beside another module than it was made for.

    Raises:
        ValueError: a SparseCtrl file in an ordinary ControlNet, which would fail or misuse it.
    """
    for control in controls_of(conds):
        if not isinstance(control, SparseControl):
            _check_ordinary(control)
    names = sorted({control.name for control in controls_of(conds) if isinstance(control, SparseControl)})
    if not names or RECOMMENDED in families:
        return []
    return [
        f"{', '.join(names)} (SparseCtrl) was made for the motion module v3_sd15_mm; this animation has another "
        f"({', '.join(families)}). It may follow its images less, or move less."
    ]


def _check_ordinary(control: Any) -> None:
    """Raise ValueError for a SparseCtrl scribble file that was loaded as an ordinary ControlNet; other packs have theirs of the same form."""
    if type(control).__module__ != OWN_KINDS:
        return
    layers = getattr(getattr(control, "control_model", None), "input_hint_block", None)
    first = next(iter(layers.children()), None) if layers is not None else None
    if getattr(first, "in_channels", 3) == 4 and not control.concat_mask:
        raise ValueError(
            "A ControlNet of this animation takes 4 channels, as SparseCtrl scribble does. Load the file with Load SparseCtrl and "
            "apply it with Apply SparseCtrl."
        )
