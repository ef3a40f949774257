"""ArtVentureX's comfyui-animatediff, the pack of 2023: a loader, motion LoRAs, a sampler with windows, and a node that saves."""

from __future__ import annotations

from ...sampling.run.sample import SAMPLERS, SCHEDULERS
from ..files import LORAS, MODULES
from .evolved.context import LOOPED, UNIFORM, context_windows
from .evolved.load import NamedLoRA
from .evolved.values import FORMATS, combined
from .rows import Given, Link, NewGraph, OldNode, file_in, flag, integer, one_of, output_of, real, socket, written

WINDOW = 16
"""Frames beyond which its sampler uses windows, where no options are connected."""


def _load(given: Given, graph: NewGraph) -> Link:
    module = graph.node(
        "LoadMotionModule", motion_module=graph.file(MODULES, given["model_name"]), family="auto", norm_scope="legacy", positions=0,
        beta_schedule="checkpoint",
    )  # fmt: skip
    for lora in given["lora_stack"] or ():
        module = graph.node("ApplyMotionLoRA", motion_module=module, motion_lora=graph.file(LORAS, lora.name), strength=lora.strength)
    return module


def _lora(given: Given, graph: NewGraph) -> tuple[NamedLoRA, ...]:
    before: tuple[NamedLoRA, ...] = given["lora_stack"] or ()
    name = given["lora_name"]
    return before if name in (None, "None", "") else (*before, NamedLoRA(name, given["alpha"]))


def _windows(given: Given, graph: NewGraph) -> Link:
    schedule = UNIFORM if "standard" in str(given["context_schedule"]) else LOOPED
    return context_windows(graph, given, schedule, "flat")


def _sample(given: Given, graph: NewGraph) -> Link:
    frames = int(given["frame_number"])
    windows = given["sliding_window_opts"]
    if windows is None and frames > WINDOW:
        windows = graph.node(
            "ContextWindowOptions", context_length=WINDOW, context_overlap=4, context_schedule=LOOPED, fuse_method="flat",
            freenoise=False, views=False, context_stride=1, closed_loop=False, start_percent=0.0, use_on_equal_length="never",
        )  # fmt: skip
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
