"""Nodes that read files: motion modules and motion LoRAs. The only user of the host's ``folder_paths``."""

from __future__ import annotations

import os
from typing import Any

import folder_paths
from comfy_api.latest import io

from ..sampling.patcher import load_motion_module, with_motion_lora
from .types import CATEGORY, MotionModule

MODULES = "animatediff_models"
LORAS = "animatediff_motion_lora"


def register_model_folders() -> None:
    """Make ``models/animatediff_models`` and ``models/animatediff_motion_lora`` known, as other packs name them."""
    for key in (MODULES, LORAS):
        folder_paths.add_model_folder_path(key, os.path.join(folder_paths.models_dir, key))
        folder_paths.folder_names_and_paths[key][1].update(folder_paths.supported_pt_extensions)


class LoadMotionModule(io.ComfyNode):
    """File -> MOTION_MODULE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoadMotionModule",
            display_name="Load Motion Module",
            category=CATEGORY,
            description="Loads an AnimateDiff motion module: the part that turns an image model into a video model.",
            search_aliases=["animatediff", "motion model", "mm_sd", "v3_sd15_mm"],
            inputs=[
                io.Combo.Input(
                    "motion_module",
                    options=folder_paths.get_filename_list(MODULES),
                    tooltip="File in models/animatediff_models. AnimateDiff v2 and v3 modules for SD1.5 are supported.",
                )
            ],
            outputs=[
                MotionModule.Output(
                    "motion_module", tooltip="For Apply Motion Module or AnimateDiff Sampler, or a motion LoRA before."
                )
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, motion_module: str) -> Any:
        """Load again when the file was replaced."""
        path = folder_paths.get_full_path(MODULES, motion_module)
        return os.stat(path).st_mtime_ns if path else None

    @classmethod
    def execute(cls, motion_module: str) -> io.NodeOutput:
        return io.NodeOutput(load_motion_module(folder_paths.get_full_path_or_raise(MODULES, motion_module)))


class ApplyMotionLoRA(io.ComfyNode):
    """MOTION_MODULE + file -> MOTION_MODULE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyMotionLoRA",
            display_name="Apply Motion LoRA",
            category=CATEGORY,
            description="Adds a camera move or another trained motion to a motion module. Chain several to mix them.",
            search_aliases=["pan", "zoom", "tilt", "roll", "camera motion"],
            inputs=[
                MotionModule.Input(
                    "motion_module", tooltip="The motion module to change; the original stays as it is."
                ),
                io.Combo.Input(
                    "motion_lora",
                    options=folder_paths.get_filename_list(LORAS),
                    tooltip="File in models/animatediff_motion_lora. The official ones were trained for the v2 module.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-10.0,
                    max=10.0,
                    step=0.01,
                    tooltip="1.0 as trained, 0.0 no effect, negative reverses the move. Range -10 to 10.",
                ),
            ],
            outputs=[MotionModule.Output("motion_module", tooltip="The motion module with the motion LoRA added.")],
        )

    @classmethod
    def execute(cls, motion_module: Any, motion_lora: str, strength: float) -> io.NodeOutput:
        path = folder_paths.get_full_path_or_raise(LORAS, motion_lora)
        return io.NodeOutput(with_motion_lora(motion_module, path, strength))
