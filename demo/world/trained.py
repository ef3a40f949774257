"""Which files in ComfyUI's folders hold networks that were trained on the small world. All others there are random.

The one table of it: `write_models` writes by it, `environment` sees by it when weights change, `animate` says what is missing.
Standard library only.
"""

from __future__ import annotations

from pathlib import Path

WEIGHTS = Path(__file__).with_name("weights")
CHECKPOINT = "checkpoints/tiny_sd15.safetensors"
MOTION_LORAS = {
    "PanLeft": "motion_lora_pan_left",
    "PanRight": "motion_lora_pan_right",
    "TiltUp": "motion_lora_tilt_up",
    "TiltDown": "motion_lora_tilt_down",
    "ZoomIn": "motion_lora_zoom_in",
    "ZoomOut": "motion_lora_zoom_out",
    "RollingClockwise": "motion_lora_roll_clockwise",
    "RollingAnticlockwise": "motion_lora_roll_anticlockwise",
}
"""The end of the public files' names, and which weights stand in for them."""
TRAINED: dict[str, tuple[str, ...]] = {
    CHECKPOINT: ("autoencoder", "image"),
    "loras/v3_sd15_adapter.ckpt": ("domain_adapter",),
    "animatediff_models/v3_sd15_mm.ckpt": ("motion_module",),
    "controlnet/mm_sd15_v3_sparsectrl_rgb.safetensors": ("sparse_control_rgb",),
    **{f"animatediff_motion_lora/v2_lora_{public}.ckpt": (ours,) for public, ours in MOTION_LORAS.items()},
}
"""Files below `models`, and the weights that each is made of."""


def is_trained(model: str, folder: Path = WEIGHTS) -> bool:
    """Whether a file below `models` is made of trained weights: they are in the table, and in `folder`."""
    return all((folder / f"{name}.safetensors").is_file() for name in TRAINED.get(model, ("",)))


def untrained(folder: Path = WEIGHTS) -> list[str]:
    """Files of the table whose weights are not there, so that random ones take their place."""
    return [model for model in TRAINED if not is_trained(model, folder)]


def weight_files(folder: Path = WEIGHTS) -> list[Path]:
    """The trained weights that are there."""
    return sorted(folder.glob("*.safetensors"))
