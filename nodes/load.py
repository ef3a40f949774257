"""Nodes that read files: motion modules, motion LoRAs, domain adapters, SparseCtrl. The only user of ``folder_paths``."""

from __future__ import annotations

import os
from typing import Any

import folder_paths
from comfy_api.latest import io

from ..sampling.adapter import with_domain_adapter
from ..sampling.patcher import OVERRIDES, Overrides, load_motion_module, settings_of, with_motion_lora
from ..sampling.sparse_control import load_sparse_control, summary
from .types import CATEGORY, MotionModule, strength_input, text

MODULES = "animatediff_models"
LORAS = "animatediff_motion_lora"
IMAGE_LORAS = "loras"
CONTROLS = "controlnet"


def register_model_folders() -> None:
    """Make ``models/animatediff_models`` and ``models/animatediff_motion_lora`` known, as other packs name them."""
    for key in (MODULES, LORAS):
        folder_paths.add_model_folder_path(key, os.path.join(folder_paths.models_dir, key))
        folder_paths.folder_names_and_paths[key][1].update(folder_paths.supported_pt_extensions)


def _modified(folder: str, name: str) -> int | None:
    """When a file last changed, in nanoseconds; part of what tells the host to run a node again."""
    path = folder_paths.get_full_path(folder, name)
    return os.stat(path).st_mtime_ns if path else None


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
            has_intermediate_output=True,
            inputs=[
                io.Combo.Input(
                    "motion_module",
                    options=folder_paths.get_filename_list(MODULES),
                    tooltip="File in models/animatediff_models, of any AnimateDiff family and spelling.",
                ),
                io.Combo.Input(
                    "family",
                    options=OVERRIDES["family"],
                    default="auto",
                    advanced=True,
                    tooltip="Which family's settings to use. auto reads it from the file, then from its name.",
                ),
                io.Combo.Input(
                    "norm_scope",
                    options=OVERRIDES["norm_scope"],
                    default="authors",
                    advanced=True,
                    tooltip="Which group norms see all frames: authors as trained, per_frame none, legacy all of the image "
                    "model's, as older packs did.",
                ),
                io.Int.Input(
                    "positions",
                    default=0,
                    min=0,
                    max=256,
                    advanced=True,
                    tooltip="Frames the module can take at once; 0 as stored in the file. Range 0 to 256.",
                ),
                io.Combo.Input(
                    "beta_schedule",
                    options=OVERRIDES["beta_schedule"],
                    default="authors",
                    advanced=True,
                    tooltip="Noise schedule: authors as trained, checkpoint leaves the MODEL's own. Names are the authors'.",
                ),
            ],
            outputs=[
                MotionModule.Output(
                    "motion_module", tooltip="For Apply Motion Module or AnimateDiff Sampler, or a motion LoRA before."
                )
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, motion_module: str, **_: Any) -> Any:
        """Load again when the file was replaced."""
        return _modified(MODULES, motion_module)

    @classmethod
    def execute(cls, motion_module: str, **overrides: Any) -> io.NodeOutput:
        path = folder_paths.get_full_path_or_raise(MODULES, motion_module)
        module = load_motion_module(path, Overrides(**overrides))
        return io.NodeOutput(module, ui=text(settings_of(module).summary))


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
            has_intermediate_output=True,
            inputs=[
                MotionModule.Input(
                    "motion_module", tooltip="The motion module to change; the original stays as it is."
                ),
                io.Combo.Input(
                    "motion_lora",
                    options=folder_paths.get_filename_list(LORAS),
                    tooltip="File in models/animatediff_motion_lora. The official ones were trained for the v2 module.",
                ),
                strength_input(
                    "strength",
                    1.0,
                    -10.0,
                    10.0,
                    "1.0 as trained, 0.0 no effect, negative reverses the move. A number or a curve. Range -10 to 10.",
                ),
            ],
            outputs=[MotionModule.Output("motion_module", tooltip="The motion module with the motion LoRA added.")],
        )

    @classmethod
    def fingerprint_inputs(cls, motion_lora: str, **_: Any) -> Any:
        """Load again when the file was replaced."""
        return _modified(LORAS, motion_lora)

    @classmethod
    def execute(cls, motion_module: Any, motion_lora: str, strength: Any) -> io.NodeOutput:
        path = folder_paths.get_full_path_or_raise(LORAS, motion_lora)
        module = with_motion_lora(motion_module, path, strength)
        return io.NodeOutput(module, ui=text("\n".join(settings_of(module).loras)))


class ApplyDomainAdapter(io.ComfyNode):
    """MODEL + file -> MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyDomainAdapter",
            display_name="Apply Domain Adapter",
            category=CATEGORY,
            description="Adds the v3 domain adapter, or the spatial half of a MotionDirector training, to the image model.",
            search_aliases=["v3_sd15_adapter", "motion director", "adapter lora"],
            has_intermediate_output=True,
            inputs=[
                io.Model.Input("model", tooltip="The image model to change; the one given stays as it is."),
                io.Combo.Input(
                    "adapter",
                    options=folder_paths.get_filename_list(IMAGE_LORAS),
                    tooltip="File in models/loras, such as v3_sd15_adapter.ckpt.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-10.0,
                    max=10.0,
                    step=0.01,
                    tooltip="The adapter's scaler alpha: 1.0 as trained; lower keeps video artefacts out. Range -10 to 10.",
                ),
            ],
            outputs=[io.Model.Output("model", tooltip="The MODEL with the adapter, for Apply Motion Module.")],
        )

    @classmethod
    def fingerprint_inputs(cls, adapter: str, **_: Any) -> Any:
        """Load again when the file was replaced."""
        return _modified(IMAGE_LORAS, adapter)

    @classmethod
    def execute(cls, model: Any, adapter: str, strength: float) -> io.NodeOutput:
        path = folder_paths.get_full_path_or_raise(IMAGE_LORAS, adapter)
        adapted, note = with_domain_adapter(model, path, strength)
        return io.NodeOutput(adapted, ui=text(note))


class LoadSparseCtrl(io.ComfyNode):
    """File -> CONTROL_NET."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoadSparseCtrl",
            display_name="Load SparseCtrl",
            category=CATEGORY,
            description="Loads a SparseCtrl model (RGB or scribble, in any spelling) for Apply SparseCtrl or Apply ControlNet.",
            search_aliases=["sparsectrl", "sparse control", "v3_sd15_sparsectrl"],
            has_intermediate_output=True,
            inputs=[
                io.Combo.Input(
                    "control_net",
                    options=folder_paths.get_filename_list(CONTROLS),
                    tooltip="File in models/controlnet, such as v3_sd15_sparsectrl_rgb.ckpt.",
                ),
            ],
            outputs=[io.ControlNet.Output("control_net", tooltip="The SparseCtrl model, for Apply SparseCtrl.")],
        )

    @classmethod
    def fingerprint_inputs(cls, control_net: str) -> Any:
        """Load again when the file was replaced."""
        return _modified(CONTROLS, control_net)

    @classmethod
    def execute(cls, control_net: str) -> io.NodeOutput:
        control = load_sparse_control(folder_paths.get_full_path_or_raise(CONTROLS, control_net))
        return io.NodeOutput(control, ui=text(summary(control)))
