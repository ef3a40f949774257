"""Nodes that read files: motion modules and LoRAs, domain adapters, SparseCtrl."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..sampling.controls.sparse import describe_sparse_control, load_sparse_control
from ..sampling.modules.domain_adapter import with_domain_adapter
from ..sampling.modules.load import OVERRIDES, Overrides, load_motion_module
from ..sampling.modules.motion_lora import with_motion_lora
from ..sampling.modules.settings import settings_of
from .files import CONTROLS, IMAGE_LORAS, LORAS, MODULES, files_in, modified, path_of
from .types import (
    CATEGORY,
    MotionModuleSocket,
    NumberOrCurve,
    choice,
    count,
    model_input,
    model_output,
    number,
    strength_input,
    text,
)


def _file(name: str, folder: str, tooltip: str) -> io.Combo.Input:
    """A list of the files in a model folder, without a default."""
    options = files_in(folder)
    return io.Combo.Input(name, options=options, tooltip=f"A file in models/{folder}. {tooltip}")


class LoadMotionModule(io.ComfyNode):
    """File -> ANIMATEDIFF_MODULE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        family = "Which family's settings to use. auto reads it from the file, then from its name."
        norms = "Which norms see all frames: authors as trained, per_frame none, legacy as in AnimateDiff-Evolved."
        positions = "How much the module takes at once; 0 keeps the number in the file."
        schedule = "Noise schedule, by the authors' names. authors is as trained, checkpoint keeps the MODEL's own."
        user = "For Apply Motion Module or AnimateDiff Sampler, or to be changed by Apply Motion LoRA."
        return io.Schema(
            node_id="LoadMotionModule",
            display_name="Load Motion Module",
            category=CATEGORY,
            description="Loads an AnimateDiff motion module: the part that turns an image model into a video model.",
            search_aliases=["animatediff", "motion model", "mm_sd", "v3_sd15_mm"],
            has_intermediate_output=True,
            inputs=[
                _file("motion_module", MODULES, "Any AnimateDiff family and spelling will do."),
                choice("family", OVERRIDES["family"], "auto", family, advanced=True),
                choice("norm_scope", OVERRIDES["norm_scope"], "authors", norms, advanced=True),
                count("positions", 0, 0, 256, positions, unit="frames", advanced=True),
                choice("beta_schedule", OVERRIDES["beta_schedule"], "authors", schedule, advanced=True),
            ],
            outputs=[MotionModuleSocket.Output("motion_module", tooltip=user)],
        )

    @classmethod
    def fingerprint_inputs(cls, motion_module: str, **_: Any) -> Any:
        """Load again when the file was replaced."""
        return modified(MODULES, motion_module)

    @classmethod
    def execute(
        cls, motion_module: str, family: str, norm_scope: str, positions: int, beta_schedule: str
    ) -> io.NodeOutput:
        path = path_of(MODULES, motion_module)
        overrides = Overrides(family=family, norm_scope=norm_scope, positions=positions, beta_schedule=beta_schedule)
        module = load_motion_module(path, overrides)
        return io.NodeOutput(module, ui=text(settings_of(module).summary))


class ApplyMotionLoRA(io.ComfyNode):
    """ANIMATEDIFF_MODULE + file -> ANIMATEDIFF_MODULE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        strength = "1.0 is as trained, 0.0 has no effect, and negative numbers reverse the move."
        return io.Schema(
            node_id="ApplyMotionLoRA",
            display_name="Apply Motion LoRA",
            category=CATEGORY,
            description="Adds a camera move or another trained motion to a motion module. Chain several to mix them.",
            search_aliases=["pan", "zoom", "tilt", "roll", "camera motion"],
            has_intermediate_output=True,
            inputs=[
                MotionModuleSocket.Input("motion_module", tooltip="The motion module to add to. It is not changed."),
                _file("motion_lora", LORAS, "The official ones were trained for the v2 module."),
                strength_input("strength", 1.0, -10.0, 10.0, strength),
            ],
            outputs=[MotionModuleSocket.Output("motion_module", tooltip="The motion module with the motion LoRA.")],
        )

    @classmethod
    def fingerprint_inputs(cls, motion_lora: str, **_: Any) -> Any:
        """Load again when the file was replaced."""
        return modified(LORAS, motion_lora)

    @classmethod
    def execute(cls, motion_module: Any, motion_lora: str, strength: NumberOrCurve) -> io.NodeOutput:
        path = path_of(LORAS, motion_lora)
        module = with_motion_lora(motion_module, path, strength)
        return io.NodeOutput(module, ui=text("\n".join(settings_of(module).loras)))


class ApplyDomainAdapter(io.ComfyNode):
    """MODEL + file -> MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        strength = "The adapter's scaler alpha. 1.0 is as trained; less keeps video artefacts out."
        return io.Schema(
            node_id="ApplyDomainAdapter",
            display_name="Apply Domain Adapter",
            category=CATEGORY,
            description="Adds the v3 domain adapter, or the spatial half of MotionDirector, to the image model.",
            search_aliases=["v3_sd15_adapter", "motion director", "adapter lora"],
            has_intermediate_output=True,
            inputs=[
                model_input("The image model to add to."),
                _file("adapter", IMAGE_LORAS, "The official one is v3_sd15_adapter.ckpt."),
                number("strength", 1.0, -10.0, 10.0, strength),
            ],
            outputs=[model_output("MODEL with the adapter, for Apply Motion Module")],
        )

    @classmethod
    def fingerprint_inputs(cls, adapter: str, **_: Any) -> Any:
        """Load again when the file was replaced."""
        return modified(IMAGE_LORAS, adapter)

    @classmethod
    def execute(cls, model: io.Model.Type, adapter: str, strength: float) -> io.NodeOutput:
        path = path_of(IMAGE_LORAS, adapter)
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
            description="Loads an RGB or scribble SparseCtrl model for Apply SparseCtrl or Apply ControlNet.",
            search_aliases=["sparsectrl", "sparse control", "v3_sd15_sparsectrl"],
            has_intermediate_output=True,
            inputs=[_file("control_net", CONTROLS, "An example is v3_sd15_sparsectrl_rgb.ckpt.")],
            outputs=[io.ControlNet.Output("control_net", tooltip="The SparseCtrl model, for Apply SparseCtrl.")],
        )

    @classmethod
    def fingerprint_inputs(cls, control_net: str) -> Any:
        """Load again when the file was replaced."""
        return modified(CONTROLS, control_net)

    @classmethod
    def execute(cls, control_net: str) -> io.NodeOutput:
        control = load_sparse_control(path_of(CONTROLS, control_net))
        return io.NodeOutput(control, ui=text(describe_sparse_control(control)))
