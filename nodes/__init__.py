"""The nodes of this pack, in menu order; those that open graphs of other packs are in ``legacy``."""

from comfy_api.latest import ComfyExtension, io

from .adjust import AdjustMotionPositions, AdjustMotionWeights
from .apply import ApplyMotionModule, MotionSettings, RemoveMotionModule
from .beta_schedule import ApplyBetaSchedule
from .clips import CameraClips, EncodeTrainingClips, LoadTrainingClips
from .context import ApplyContextWindows, ContextWindowOptions, PreviewContextWindows
from .evaluate import EvaluateAnimation, MeasureMotion
from .files import register_model_folders
from .legacy import OldNodes
from .legacy.serve import serve_conversion
from .load import ApplyDomainAdapter, ApplyMotionLoRA, LoadMotionModule, LoadSparseCtrl
from .noise import ApplyFrameNoise, ApplyFreeInit, RandomFrameNoise
from .sample import AnimateDiffSampler, PinFrames, SetLatentFrames
from .save import SaveAnimation
from .schedule import ApplyCFGCurve, ApplyControlCurve, PromptOfFrame, PromptTravel, SetControlCurve, ValueCurve
from .sparse_control import SparseCtrlApply, SparseCtrlFrames, SparseCtrlImages
from .train import (
    MotionTrainingOptions,
    MotionTrainingPreview,
    SaveMotionModule,
    SaveTrainedLoRA,
    TrainDomainAdapter,
    TrainMotionLoRA,
    TrainMotionModule,
)

NODES: list[type[io.ComfyNode]] = [
    LoadMotionModule,
    ApplyMotionLoRA,
    ApplyDomainAdapter,
    MotionSettings,
    AdjustMotionPositions,
    AdjustMotionWeights,
    ApplyMotionModule,
    ApplyBetaSchedule,
    RemoveMotionModule,
    ContextWindowOptions,
    ApplyContextWindows,
    PreviewContextWindows,
    PromptTravel,
    PromptOfFrame,
    ValueCurve,
    ApplyCFGCurve,
    ApplyControlCurve,
    SetControlCurve,
    ApplyFrameNoise,
    RandomFrameNoise,
    ApplyFreeInit,
    SetLatentFrames,
    PinFrames,
    LoadSparseCtrl,
    SparseCtrlApply,
    SparseCtrlFrames,
    SparseCtrlImages,
    AnimateDiffSampler,
    SaveAnimation,
    LoadTrainingClips,
    CameraClips,
    EncodeTrainingClips,
    TrainMotionLoRA,
    TrainDomainAdapter,
    TrainMotionModule,
    MotionTrainingOptions,
    MotionTrainingPreview,
    SaveTrainedLoRA,
    SaveMotionModule,
    MeasureMotion,
    EvaluateAnimation,
]


class AnimateDiffExtension(ComfyExtension):
    """What ComfyUI asks the pack for."""

    async def on_load(self) -> None:
        """Called once, before the node list is read."""
        register_model_folders()
        serve_conversion()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [*NODES, *OldNodes().listed()]
