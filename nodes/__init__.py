"""The nodes of this pack, in menu order."""

from comfy_api.latest import ComfyExtension, io

from .apply import ApplyMotionModule, MotionSettings
from .context import ApplyContextWindows, ContextWindowOptions, PreviewContextWindows
from .load import ApplyDomainAdapter, ApplyMotionLoRA, LoadMotionModule, LoadSparseCtrl, register_model_folders
from .noise import ApplyFrameNoise, ApplyFreeInit, RandomFrameNoise
from .sample import AnimateDiffSampler, PinFrames
from .schedule import ApplyCFGCurve, ApplyControlCurve, PromptTravel, ValueCurve
from .sparse_control import SparseCtrlApply

NODES: list[type[io.ComfyNode]] = [
    LoadMotionModule,
    ApplyMotionLoRA,
    ApplyDomainAdapter,
    MotionSettings,
    ApplyMotionModule,
    ContextWindowOptions,
    ApplyContextWindows,
    PreviewContextWindows,
    PromptTravel,
    ValueCurve,
    ApplyCFGCurve,
    ApplyControlCurve,
    ApplyFrameNoise,
    RandomFrameNoise,
    ApplyFreeInit,
    PinFrames,
    LoadSparseCtrl,
    SparseCtrlApply,
    AnimateDiffSampler,
]


class AnimateDiffExtension(ComfyExtension):
    """What ComfyUI asks the pack for."""

    async def on_load(self) -> None:
        """Called once, before the node list is read."""
        register_model_folders()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return NODES
