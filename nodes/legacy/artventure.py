"""ArtVentureX's comfyui-animatediff, the pack of 2023: a loader, motion LoRAs, a sampler with windows, and a node that saves."""

from __future__ import annotations

from ...sampling.run.sample import SAMPLERS, SCHEDULERS
from ..files import LORAS, MODULES
from .evolved.context import LOOPED, UNIFORM, OldWindows, asked_windows, window_options
from .evolved.load import LOADED, NamedLoRA, loaded, with_lora, with_loras
from .evolved.values import FORMATS, combined
from .rows import Given, Link, NewGraph, OldNode, file_in, flag, integer, one_of, output_of, real, socket, written

WINDOW = 16
"""Frames beyond which its sampler uses windows, where no options are connected."""


def _load(given: Given, graph: NewGraph) -> Link:
    return with_loras(graph, loaded(graph, given["model_name"], LOADED, None), given["lora_stack"] or ())


def _lora(given: Given, graph: NewGraph) -> tuple[NamedLoRA, ...]:
    return with_lora(given["lora_stack"], given["lora_name"], given["alpha"])


def _windows(given: Given, graph: NewGraph) -> Link:
    return window_options(graph, asked_windows(given, graph, UNIFORM if "standard" in str(given["context_schedule"]) else LOOPED))


def _sample(given: Given, graph: NewGraph) -> Link:
    frames = int(given["frame_number"])
    windows = given["sliding_window_opts"]
    if windows is None and frames > WINDOW:
        windows = window_options(graph, OldWindows(LOOPED, WINDOW, 4, "flat"))
    model = graph.node("ApplyMotionModule", model=given["model"], motion_module=given["motion_module"], context_options=windows)
    model = graph.node("ApplyBetaSchedule", model=model, beta_schedule="linear")
    latent = graph.node("SetLatentFrames", latent=given["latent_image"], num_frames=frames)
    names = ("seed", "steps", "cfg", "sampler_name", "scheduler", "positive", "negative", "denoise")
    return graph.node("KSampler", model=model, latent_image=latent, **{name: given[name] for name in names})


def _size(given: Given, graph: NewGraph) -> tuple[Link, Link, Link]:
    size = graph.node("GetImageSize", image=given["image"])
    return size, output_of(size, 1), output_of(size, 2)


_OUT_MODULE, _OUT_LORAS = (("MOTION_MODULE", "MOTION_MODULE"),), (("MOTION_LORA_STACK", "MOTION_LORA_STACK"),)
_STACK = socket("lora_stack", "MOTION_LORA_STACK")

NODES = (
    OldNode("AnimateDiffModuleLoader", "Animate Diff Module Loader", (file_in("model_name", MODULES), _STACK), _OUT_MODULE, _load),
    OldNode("AnimateDiffLoraLoader", "Animate Diff Lora Loader", (file_in("lora_name", LORAS), real("alpha"), _STACK), _OUT_LORAS, _lora),
    OldNode("AnimateDiffSlidingWindowOptions", "Sliding Window Options", (
        integer("context_length", WINDOW), integer("context_stride", 1), integer("context_overlap", 4),
        one_of("context_schedule", ("uniform", "uniform_constant", "uniform_v2")), flag("closed_loop")),
        (("SLIDING_WINDOW_OPTS", "SLIDING_WINDOW_OPTS"),), _windows),
    OldNode("AnimateDiffSampler", "Animate Diff Sampler", (
        socket("motion_module", "MOTION_MODULE", needed=True, linked=True), one_of("inject_method", ("default", "legacy")),
        integer("frame_number", 16), socket("model", "MODEL", needed=True), integer("seed"), integer("steps", 20), real("cfg", 8.0),
        one_of("sampler_name", SAMPLERS, "euler"), one_of("scheduler", SCHEDULERS, "normal"), socket("positive", "CONDITIONING", needed=True),
        socket("negative", "CONDITIONING", needed=True), socket("latent_image", "LATENT", needed=True), real("denoise", 1.0),
        socket("sliding_window_opts", "SLIDING_WINDOW_OPTS", linked=True)), (("LATENT", "LATENT"),), _sample),
    OldNode("AnimateDiffCombine", "Animate Diff Combine", (
        socket("images", "IMAGE", needed=True), integer("frame_rate", 8), integer("loop_count", 0), flag("save_image", True),
        written("filename_prefix", "animate_diff"), one_of("format", FORMATS), flag("pingpong")), (), combined, saves=True),
    OldNode("ImageSizeAndBatchSize", "Image Size and Batch Size", (socket("image", "IMAGE", needed=True),),
            (("width", "INT"), ("height", "INT"), ("batch_size", "INT")), _size),
)  # fmt: skip
