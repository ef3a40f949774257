"""Graphs as people saved them with other packs, written for the tests: what each node is given, and its values as the file holds them.

``SCENES`` are API prompts; ``STORED`` has, per scene and node, the list of values that a saved graph holds in place of names, in
one of the layouts that are in use. ``saved_graph`` makes the file of a scene.
"""

from __future__ import annotations

from typing import Any

Prompt = dict[str, dict[str, Any]]

FRAMES = 8
STEPS = 2
V2, V1, LCM = "mm_sd_v15_v2.ckpt", "mm_sd_v15.ckpt", "AnimateLCM_sd15_t2v.ckpt"

OUTPUTS = {
    "CheckpointLoaderSimple": ["MODEL", "CLIP", "VAE"],
    "CheckpointLoaderSimpleWithNoiseSelect": ["MODEL", "CLIP", "VAE"],
    "CLIPTextEncode": ["CONDITIONING"],
    "EmptyLatentImage": ["LATENT"],
    "KSampler": ["LATENT"],
    "VAEDecode": ["IMAGE"],
    "SaveAnimatedWEBP": [],
    "ModelSamplingDiscrete": ["MODEL"],
    "SolidMask": ["MASK"],
    "ADE_AnimateDiffLoaderWithContext": ["MODEL"],
    "ADE_AnimateDiffLoaderGen1": ["MODEL"],
    "ADE_AnimateDiffUniformContextOptions": ["CONTEXT_OPTIONS"],
    "ADE_LoopedUniformContextOptions": ["CONTEXT_OPTIONS"],
    "ADE_StandardUniformContextOptions": ["CONTEXT_OPTIONS"],
    "ADE_StandardStaticContextOptions": ["CONTEXT_OPTIONS"],
    "ADE_BatchedContextOptions": ["CONTEXT_OPTIONS"],
    "ADE_StandardStaticViewOptions": ["VIEW_OPTS"],
    "ADE_AnimateDiffLoRALoader": ["MOTION_LORA"],
    "ADE_LoadAnimateDiffModel": ["MOTION_MODEL_ADE"],
    "ADE_ApplyAnimateDiffModelSimple": ["M_MODELS"],
    "ADE_ApplyAnimateDiffModel": ["M_MODELS"],
    "ADE_UseEvolvedSampling": ["MODEL"],
    "ADE_AnimateDiffSamplingSettings": ["SAMPLE_SETTINGS"],
    "ADE_AnimateDiffSettings": ["AD_SETTINGS"],
    "ADE_AnimateDiffModelSettingsSimple": ["AD_SETTINGS"],
    "ADE_AdjustPESweetspotStretch": ["PE_ADJUST"],
    "ADE_AdjustWeightAllMult": ["WEIGHT_ADJUST"],
    "ADE_SigmaSchedule": ["SIGMA_SCHEDULE"],
    "ADE_CustomCFGSimple": ["CUSTOM_CFG"],
    "ADE_IterationOptsFreeInit": ["ITERATION_OPTS"],
    "ADE_MultivalDynamic": ["MULTIVAL"],
    "ADE_MultivalScaledMask": ["MULTIVAL"],
    "ADE_AnimateDiffKeyframe": ["AD_KEYFRAMES"],
    "ADE_EmptyLatentImageLarge": ["LATENT"],
    "ADE_AnimateDiffUnload": ["MODEL"],
    "ADE_AnimateDiffCombine": ["GIF"],
    "AnimateDiffModuleLoader": ["MOTION_MODULE"],
    "AnimateDiffLoraLoader": ["MOTION_LORA_STACK"],
    "AnimateDiffSlidingWindowOptions": ["SLIDING_WINDOW_OPTS"],
    "AnimateDiffSampler": ["LATENT"],
    "AnimateDiffCombine": [],
    "ApplyMotionModule": ["MODEL"],
    "LoadMotionModule": ["ANIMATEDIFF_MODULE"],
    "ControlNetApplyAdvanced": ["CONDITIONING", "CONDITIONING"],
    "LoadImage": ["IMAGE", "MASK"],
    "RepeatImageBatch": ["IMAGE"],
    "ControlNetLoaderAdvanced": ["CONTROL_NET"],
    "ACN_ControlNetLoaderAdvanced": ["CONTROL_NET"],
    "ACN_AdvancedControlNetApply": ["CONDITIONING", "CONDITIONING", "MODEL"],
    "ACN_AdvancedControlNetApply_v2": ["CONDITIONING", "CONDITIONING"],
    "ACN_AdvancedControlNetApplySingle": ["CONDITIONING", "MODEL"],
    "ACN_SparseCtrlLoaderAdvanced": ["CONTROL_NET"],
    "ACN_SparseCtrlRGBPreprocessor": ["IMAGE"],
    "ACN_SparseCtrlSpreadMethodNode": ["SPARSE_METHOD"],
    "ACN_SparseCtrlIndexMethodNode": ["SPARSE_METHOD"],
    "ScaledSoftControlNetWeights": ["CONTROL_NET_WEIGHTS", "TIMESTEP_KEYFRAME"],
    "ACN_CustomT2IAdapterWeights": ["CONTROL_NET_WEIGHTS", "TIMESTEP_KEYFRAME"],
    "ACN_DefaultUniversalWeights": ["CONTROL_NET_WEIGHTS", "TIMESTEP_KEYFRAME"],
    "ACN_SparseCtrlWeightExtras": ["CN_WEIGHTS_EXTRAS"],
    "TimestepKeyframe": ["TIMESTEP_KEYFRAME"],
    "ACN_TimestepKeyframeInterpolation": ["TIMESTEP_KEYFRAME"],
    "LatentKeyframe": ["LATENT_KEYFRAME"],
    "LatentKeyframeTiming": ["LATENT_KEYFRAME"],
    "LatentKeyframeGroup": ["LATENT_KEYFRAME"],
    "ConditioningCombine": ["CONDITIONING"],
    "PrimitiveStringMultiline": ["STRING"],
    "BatchPromptSchedule": ["CONDITIONING", "CONDITIONING"],
    "BatchPromptScheduleLatentInput": ["CONDITIONING", "CONDITIONING", "LATENT"],
    "PromptSchedule": ["CONDITIONING", "CONDITIONING"],
    "PromptScheduleNodeFlow": ["INT", "STRING"],
    "PromptScheduleNodeFlowEnd": ["CONDITIONING", "CONDITIONING"],
    "StringSchedule": ["STRING", "STRING"],
    "BatchStringSchedule": ["STRING", "STRING"],
    "ValueSchedule": ["FLOAT", "INT"],
    "BatchValueSchedule": ["FLOAT", "INT"],
    "BatchValueScheduleLatentInput": ["FLOAT", "INT", "LATENT"],
    "PromptScheduleEncodeSDXL": ["CONDITIONING", "CONDITIONING"],
    "BatchPromptScheduleEncodeSDXL": ["CONDITIONING", "CONDITIONING"],
    "BatchPromptScheduleSDXLLatentInput": ["CONDITIONING", "CONDITIONING", "LATENT"],
    "ADE_PromptScheduling": ["CONDITIONING"],
    "ADE_PromptSchedulingLatents": ["CONDITIONING", "LATENT"],
    "ADE_ValueScheduling": ["FLOAT", "FLOATS", "INT", "INTS"],
    "ADE_ValueSchedulingLatents": ["FLOAT", "FLOATS", "INT", "INTS"],
    "ADE_ValuesReplace": ["VALUES_REPLACE"],
    "ADE_ConditionExtraction": ["CONDITIONING"],
}
"""Types of a node's outputs, as saved graphs name them."""


def _base(model: list[Any], *, frames: int = FRAMES, sampler: str = "euler", scheduler: str = "normal", cfg: float = 7.0) -> Prompt:
    """Checkpoint, prompts, latent, sampler and decoder, around a MODEL from another node."""
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "tiny_sd15.safetensors"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red ball", "clip": ["1", 1]}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["1", 1]}},
        "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": frames}},
        "5": {
            "class_type": "KSampler",
            "inputs": {
                "model": model, "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0], "seed": 3, "steps": STEPS, "cfg": cfg,
                "sampler_name": sampler, "scheduler": scheduler, "denoise": 1.0,
            },
        },
        "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
    }  # fmt: skip


def _saved() -> Prompt:
    inputs = {"images": ["6", 0], "filename_prefix": "old", "fps": 8.0, "lossless": True, "quality": 80, "method": "default"}
    return {"7": {"class_type": "SaveAnimatedWEBP", "inputs": inputs}}


def _node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def _combined(**more: Any) -> Prompt:
    inputs = {"images": ["6", 0], "frame_rate": 8, "loop_count": 0, "filename_prefix": "old", "format": "image/gif", "pingpong": False}
    return {"7": _node("ADE_AnimateDiffCombine", **{**inputs, "save_image": True, **more})}


_UNIFORM = {"context_length": 4, "context_stride": 1, "context_overlap": 1, "context_schedule": "uniform", "closed_loop": False}
_LATER = {"fuse_method": "flat", "use_on_equal_length": False, "start_percent": 0.0, "guarantee_steps": 1}
_GEN2 = {"beta_schedule": "autoselect", "model": ["1", 0]}
_LOADED = {"motion_module": V2, "family": "auto", "norm_scope": "legacy", "positions": 0, "beta_schedule": "authors"}
CONTROL, SPARSE = "tiny_controlnet.safetensors", "mm_sd15_v3_sparsectrl_{}.safetensors"


def _controlled(model: list[Any], negative: list[Any], *, frames: int = FRAMES) -> Prompt:
    """A scene whose prompts pass node 20, with an example image, and the MODEL of node 30 animated."""
    scene = _base(model, frames=frames) | _saved()
    scene["5"]["inputs"].update(positive=["20", 0], negative=negative)
    return scene | {
        "30": _node("ApplyMotionModule", model=["1", 0], motion_module=["31", 0]),
        "31": _node("LoadMotionModule", **_LOADED),
        "40": _node("LoadImage", image="example.png"),
    }


def _sampled_with(model: list[Any], positive: list[Any], negative: list[Any]) -> dict[str, Any]:
    """The sampler of ``_base`` on other prompts."""
    sampler = _base(model)["5"]
    return {**sampler, "inputs": {**sampler["inputs"], "positive": positive, "negative": negative}}


_SAMPLING = {"batch_offset": 0, "noise_type": "FreeNoise", "seed_gen": "comfy", "seed_offset": 0}

# --- schedules -------------------------------------------------------------------------------------------------------

TRAVEL = '"0" :"a cat (smile:`pw_a`)",\n"7" :"a dog --neg blurry",\n'
"""Prompts as FizzNodes has them, with a number and a negative part."""
NUMBERS = "0:(0.2),\n7:(1.6),\n"
_WEIGHTS = {"pw_a": 0.5, "pw_b": 0.0, "pw_c": 0.0, "pw_d": 0.0}
_NONE = dict.fromkeys(_WEIGHTS, 0.0)
_AROUND = {"pre_text": "best", "app_text": "sharp --neg low"}
_PLAIN = {"pre_text": "", "app_text": ""}
_UNCUT = {"start_frame": 0, "end_frame": -1}
_LARGE = {"width": 1024, "height": 1024, "crop_w": 0, "crop_h": 0, "target_width": 1024, "target_height": 1024, "text_g": TRAVEL, "text_l": TRAVEL}
_AROUND_LARGE = {"pre_text_G": "best", "app_text_G": "sharp", "pre_text_L": "", "app_text_L": ""}
_PLAIN_LARGE = dict.fromkeys(_AROUND_LARGE, "")


def _batch(kind: str = "BatchPromptSchedule", **inputs: Any) -> dict[str, Any]:
    """A prompt schedule of all frames, with every field it ever had."""
    length = {"num_latents": ["4", 0]} if "Latent" in kind else {"max_frames": FRAMES}
    return _node(kind, **{"text": TRAVEL, "clip": ["1", 1], **length, "print_output": False, **_PLAIN, **_UNCUT, **_NONE, **inputs})


def _single(kind: str = "PromptSchedule", **inputs: Any) -> dict[str, Any]:
    """A prompt schedule of one frame."""
    shared = {"max_frames": FRAMES, "current_frame": 3, "print_output": False, **_PLAIN, **_NONE}
    return _node(kind, **{"text": TRAVEL, "clip": ["1", 1], **shared, **inputs})


def _combined_prompts(first: int, *sources: list[Any]) -> Prompt:
    """Nodes from ``first`` on that combine prompts; the last one has all of them."""
    nodes, so_far = Prompt(), sources[0]
    for number, source in enumerate(sources[1:], first):
        nodes[str(number)] = _node("ConditioningCombine", conditioning_1=so_far, conditioning_2=source)
        so_far = [str(number), 0]
    return nodes


def _sampled(prompts: Prompt, positive: list[Any], negative: list[Any], latent: list[Any]) -> Prompt:
    """A plain sampler on these prompts."""
    scene = _base(["1", 0]) | _saved()
    scene["5"]["inputs"] |= {"positive": positive, "negative": negative, "latent_image": latent}
    del scene["2"], scene["3"]
    return scene | prompts


_LAYOUTS = _sampled({
    "10": _batch(**_AROUND, **_WEIGHTS),
    "11": _batch(**_AROUND, **_WEIGHTS),
    "12": _batch(**_AROUND, **_WEIGHTS),
    "13": _batch(**_AROUND, **_WEIGHTS, start_frame=2),
    "14": _batch(),
    "15": _batch(start_frame=2, end_frame=6),
    "16": _batch(**_AROUND, **_WEIGHTS, start_frame=2, end_frame=0),
    **_combined_prompts(20, *([str(key), 0] for key in range(10, 17))),
}, ["25", 0], ["10", 1], ["4", 0])
_BY_LATENTS = _sampled({
    "10": _batch("BatchPromptScheduleLatentInput", **_AROUND, **_WEIGHTS),
    "11": _batch("BatchPromptScheduleLatentInput", **_AROUND, **_WEIGHTS),
    "12": _batch("BatchPromptScheduleLatentInput", **_AROUND, **_WEIGHTS, start_frame=1),
    "13": _batch("BatchPromptScheduleLatentInput"),
    "14": _batch("BatchPromptScheduleLatentInput"),
    "15": _batch("BatchPromptScheduleLatentInput", start_frame=2, end_frame=6),
    "16": _batch("BatchPromptScheduleLatentInput", **_AROUND, **_WEIGHTS, end_frame=0),
    "17": _single(**_AROUND, **_WEIGHTS),
    "18": _single(**_AROUND, **_WEIGHTS),
    "19": _single(current_frame=["30", 1], pw_a=["30", 0]),
    "30": _node("ValueSchedule", text="0:(1), 7:(4)", max_frames=FRAMES, current_frame=3, print_output=False),
    **_combined_prompts(20, *([str(key), 0] for key in range(10, 20))),
}, ["28", 0], ["17", 1], ["10", 2])
_VALUES = _sampled({
    "10": _batch(text=["18", 0], pw_a=["11", 0], pw_b=["12", 0], end_frame=0),
    "11": _node("BatchValueScheduleLatentInput", text=NUMBERS, num_latents=["4", 0], print_output=False),
    "12": _node("BatchValueSchedule", text=NUMBERS, max_frames=FRAMES, print_output=False),
    "13": _single("PromptScheduleNodeFlowEnd", text=["14", 1], max_frames=["14", 0]),
    "14": _node("PromptScheduleNodeFlow", text="a dog", num_frames=4, in_text=["15", 1], max_frames=["15", 0]),
    "15": _node("PromptScheduleNodeFlow", text="a cat", num_frames=4, in_text="", max_frames=0),
    "16": _node("CLIPTextEncode", text=["17", 0], clip=["1", 1]),
    "17": _node("StringSchedule", text=TRAVEL, max_frames=FRAMES, current_frame=3, print_output=False, **_AROUND, **_WEIGHTS),
    "18": _node("PrimitiveStringMultiline", value=TRAVEL.replace("`pw_a`", "`pw_a + pw_b`")),
    "19": _node("PrimitiveStringMultiline", value="best quality"),
    "21": _node("ADE_PromptScheduling", prompts='"0": "a cat (smile:`joy`)", "7": "a dog"', clip=["1", 1], values_replace=["22", 0],
                print_schedule=False, max_length=0, tensor_interp="slerp"),
    "22": _node("ADE_ValuesReplace", value_key="joy", floats=["24", 1], prev_replace=["23", 0]),
    "23": _node("ADE_ValuesReplace", value_key="a", floats=["25", 1]),
    "24": _node("ADE_ValueScheduling", values="0 = 0.5, 7 = 1.5", print_schedule=False, max_length=0),
    "25": _node("ADE_ValueSchedulingLatents", values="0 = 0.5", latent=["26", 1], print_schedule=False),
    "26": _node("ADE_PromptSchedulingLatents", prompts='"0": "a cat", "1.0": "a dog"', clip=["1", 1], latent=["4", 0], prepend_text=["19", 0],
                print_schedule=False, tensor_interp="lerp"),
    "27": _node("ADE_ConditionExtraction", conditioning=["26", 0], index=3),
    **_combined_prompts(31, ["10", 0], ["13", 0], ["16", 0], ["21", 0]),
}, ["33", 0], ["27", 0], ["11", 2])
_FOR_SDXL = _sampled({
    "10": _node("BatchPromptScheduleEncodeSDXL", **_LARGE, clip=["1", 1], max_frames=FRAMES, print_output=False, **_AROUND_LARGE, **_WEIGHTS, **_UNCUT),
    "11": _node("BatchPromptScheduleEncodeSDXL", **_LARGE, clip=["1", 1], max_frames=FRAMES, print_output=True, **_PLAIN_LARGE, **_NONE, start_frame=0,
                end_frame=120),
    "12": _node("BatchPromptScheduleSDXLLatentInput", **_LARGE, clip=["1", 1], num_latents=["4", 0], print_output=False, **_AROUND_LARGE, **_WEIGHTS, **_UNCUT),
    "13": _node("BatchPromptScheduleSDXLLatentInput", **_LARGE, clip=["1", 1], num_latents=["4", 0], print_output=True, **_PLAIN_LARGE, **_NONE, start_frame=2,
                end_frame=6),
    "14": _node("PromptScheduleEncodeSDXL", **_LARGE, clip=["1", 1], max_frames=FRAMES, current_frame=3, print_output=False, **_AROUND_LARGE, **_WEIGHTS),
    **_combined_prompts(20, *([str(key), 0] for key in range(10, 15))),
}, ["23", 0], ["10", 1], ["13", 2])  # fmt: skip


# --- scenes ----------------------------------------------------------------------------------------------------------

SCENES: dict[str, Prompt] = {
    "loader of 2023 with two values": _base(["10", 0]) | _saved() | {
        "10": _node("ADE_AnimateDiffLoaderWithContext", model=["1", 0], model_name=V1, beta_schedule="sqrt_linear (AnimateDiff)",
                    motion_scale=1.0, apply_v2_models_properly=True),
    },
    "loader with context and motion LoRA": _base(["10", 0]) | _combined() | {
        "10": _node("ADE_AnimateDiffLoaderWithContext", model=["1", 0], model_name=V2, beta_schedule="sqrt_linear (AnimateDiff)",
                    context_options=["11", 0], motion_lora=["12", 0], motion_scale=1.2, apply_v2_models_properly=False),
        "11": _node("ADE_AnimateDiffUniformContextOptions", **_UNIFORM, **_LATER),
        "12": _node("ADE_AnimateDiffLoRALoader", name="v2_lora_PanLeft.ckpt", strength=0.8, prev_motion_lora=["13", 0]),
        "13": _node("ADE_AnimateDiffLoRALoader", name=None, strength=1.0),
    },
    "first generation with every setting": _base(["10", 0], sampler="lcm", scheduler="sgm_uniform", cfg=2.0) | _combined(format="video/h264-mp4", pingpong=True) | {
        "10": _node("ADE_AnimateDiffLoaderGen1", model=["1", 0], model_name=LCM, beta_schedule="lcm avg(sqrt_linear,linear)",
                    context_options=["11", 0], ad_settings=["12", 0], sample_settings=["15", 0], scale_multival=["18", 0],
                    effect_multival=["19", 0]),
        "11": _node("ADE_StandardStaticContextOptions", context_length=4, context_overlap=1, **{**_LATER, "fuse_method": "pyramid"}),
        "12": _node("ADE_AnimateDiffSettings", pe_adjust=["13", 0], weight_adjust=["14", 0]),
        "13": _node("ADE_AdjustPESweetspotStretch", sweetspot=16, new_sweetspot=18, print_adjustment=False),
        "14": _node("ADE_AdjustWeightAllMult", all_MULT=1.01, print_adjustment=False),
        "15": _node("ADE_AnimateDiffSamplingSettings", **_SAMPLING, seed_override=0, adapt_denoise_steps=False, custom_cfg=["16", 0], sigma_schedule=["17", 0]),
        "16": _node("ADE_CustomCFGSimple", cfg=2.5),
        "17": _node("ADE_SigmaSchedule", beta_schedule="lcm >> sqrt_linear"),
        "18": _node("ADE_MultivalDynamic", float_val=1.1),
        "19": _node("ADE_MultivalScaledMask", min_float_val=0.5, max_float_val=1.0, mask=["20", 0], scaling="absolute"),
        "20": _node("SolidMask", value=0.5, width=64, height=64),
    },
    "second generation": _base(["10", 0]) | _saved() | {
        "10": _node("ADE_UseEvolvedSampling", **_GEN2, m_models=["11", 0], context_options=["13", 0], sample_settings=["14", 0]),
        "11": _node("ADE_ApplyAnimateDiffModelSimple", motion_model=["12", 0], scale_multival=["15", 0], motion_lora=["17", 0]),
        "12": _node("ADE_LoadAnimateDiffModel", model_name=V2),
        "13": _node("ADE_LoopedUniformContextOptions", context_length=4, context_stride=1, context_overlap=2, closed_loop=True,
                    **{**_LATER, "fuse_method": "pyramid"}),
        "14": _node("ADE_AnimateDiffSamplingSettings", batch_offset=0, noise_type="repeated_context", seed_gen="comfy", seed_offset=5,
                    seed_override=0, adapt_denoise_steps=False, iteration_opts=["16", 0]),
        "15": _node("ADE_MultivalDynamic", float_val=1.25),
        "16": _node("ADE_IterationOptsFreeInit", iterations=2, filter="gaussian", d_s=0.25, d_t=0.25, n_butterworth=4, sigma_step=999,
                    apply_to_1st_iter=False, init_type="FreeInit [sampler sigma]", iter_batch_offset=0, iter_seed_offset=1),
        "17": _node("ADE_AnimateDiffLoRALoader", name="v2_lora_ZoomIn.ckpt", strength=0.5),
    },
    "two modules over the steps": _base(["10", 0]) | _saved() | {
        "10": _node("ADE_UseEvolvedSampling", **{**_GEN2, "beta_schedule": "linear (HotshotXL/default)"}, m_models=["11", 0]),
        "11": _node("ADE_ApplyAnimateDiffModel", motion_model=["12", 0], start_percent=0.0, end_percent=0.6, prev_m_models=["13", 0], ad_keyframes=["15", 0]),
        "12": _node("ADE_LoadAnimateDiffModel", model_name=V1),
        "13": _node("ADE_ApplyAnimateDiffModel", motion_model=["14", 0], start_percent=0.4, end_percent=1.0, effect_multival=["16", 0]),
        "14": _node("ADE_LoadAnimateDiffModel", model_name="v3_sd15_mm.ckpt"),
        "15": _node("ADE_AnimateDiffKeyframe", start_percent=0.3, inherit_missing=True, guarantee_steps=1, scale_multival=["17", 0]),
        "16": _node("ADE_MultivalDynamic", float_val=0.9, mask_optional=["18", 0]),
        "17": _node("ADE_MultivalDynamic", float_val=0.7),
        "18": _node("SolidMask", value=0.8, width=64, height=64),
    },
    "windows without a motion module": _base(["10", 0]) | _saved() | {
        "10": _node("ADE_UseEvolvedSampling", **_GEN2, context_options=["11", 0]),
        "11": _node("ADE_BatchedContextOptions", context_length=4, start_percent=0.0, guarantee_steps=1),
    },
    "a schedule after the motion node": _base(["12", 0], sampler="lcm", scheduler="sgm_uniform", cfg=1.5) | _saved() | {
        "1": _node("CheckpointLoaderSimpleWithNoiseSelect", ckpt_name="tiny_sd15.safetensors", beta_schedule="sqrt_linear (AnimateDiff)",
                   use_custom_scale_factor=False, scale_factor=0.18215),
        "4": _node("ADE_EmptyLatentImageLarge", width=64, height=64, batch_size=FRAMES),
        "10": _node("ADE_AnimateDiffLoaderWithContext", model=["1", 0], model_name=LCM, beta_schedule="lcm >> sqrt_linear",
                    context_options=["11", 0], ad_settings=["13", 0], motion_scale=1.0, apply_v2_models_properly=True),
        "11": _node("ADE_StandardUniformContextOptions", context_length=4, context_stride=1, context_overlap=1,
                    **{**_LATER, "fuse_method": "overlap-linear"}),
        "12": _node("ModelSamplingDiscrete", model=["10", 0], sampling="lcm", zsnr=False),
        "13": _node("ADE_AnimateDiffModelSettingsSimple", motion_pe_stretch=4, min_motion_scale=1.0, max_motion_scale=1.0),
    },
    "a pass without motion": _base(["10", 0]) | _saved() | {
        "10": _node("ADE_AnimateDiffUnload", model=["11", 0]),
        "11": _node("ADE_AnimateDiffLoaderGen1", model=["1", 0], model_name=V2, beta_schedule="autoselect", context_options=["12", 0]),
        "12": _node("ADE_StandardStaticContextOptions", context_length=4, context_overlap=1, **{**_LATER, "fuse_method": "relative"}, view_opts=["13", 0]),
        "13": _node("ADE_StandardStaticViewOptions", view_length=4, view_overlap=1, fuse_method="pyramid"),
    },
    "the sampler of ArtVentureX": _base(["1", 0]) | {
        "5": _node("AnimateDiffSampler", motion_module=["10", 0], inject_method="default", frame_number=20, model=["1", 0], seed=3, steps=STEPS,
                   cfg=7.0, sampler_name="euler", scheduler="normal", positive=["2", 0], negative=["3", 0], latent_image=["4", 0],
                   denoise=1.0, sliding_window_opts=["12", 0]),
        "4": _node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "7": _node("AnimateDiffCombine", images=["6", 0], frame_rate=8, loop_count=0, save_image=True, filename_prefix="old",
                   format="image/webp", pingpong=True),
        "10": _node("AnimateDiffModuleLoader", model_name=V2, lora_stack=["11", 0]),
        "11": _node("AnimateDiffLoraLoader", lora_name="v2_lora_TiltUp.ckpt", alpha=1.0),
        "12": _node("AnimateDiffSlidingWindowOptions", context_length=8, context_stride=1, context_overlap=2, context_schedule="uniform",
                    closed_loop=False),
    },
    "a ControlNet of 2023 with keyframes on its loader": _controlled(["20", 2], ["20", 1]) | {
        "20": _node("ACN_AdvancedControlNetApply", positive=["2", 0], negative=["3", 0], control_net=["21", 0], image=["40", 0], strength=0.7,
                    start_percent=0.0, end_percent=0.9, mask_optional=["28", 0], model_optional=["30", 0]),
        "21": _node("ControlNetLoaderAdvanced", control_net_name=CONTROL, timestep_keyframe=["22", 0]),
        "22": _node("TimestepKeyframe", start_percent=0.0, strength=1.0, cn_weights=["23", 0], latent_keyframe=["24", 0], null_latent_kf_strength=0.0,
                    inherit_missing=True, guarantee_steps=1),
        "23": _node("ScaledSoftControlNetWeights", base_multiplier=0.825, flip_weights=False, uncond_multiplier=1.0),
        "24": _node("LatentKeyframe", batch_index=0, strength=0.5, prev_latent_kf=["25", 0]),
        "25": _node("LatentKeyframeTiming", batch_index_from=2, batch_index_to_excl=FRAMES, strength_from=1.0, strength_to=0.2,
                    interpolation="ease-in", print_keyframes=False),
        "28": _node("SolidMask", value=0.8, width=64, height=64),
    },
    "a ControlNet of 2024 with keyframes over steps": _controlled(["30", 0], ["20", 1]) | {
        "20": _node("ACN_AdvancedControlNetApply_v2", positive=["2", 0], negative=["3", 0], control_net=["21", 0], image=["40", 0], strength=1.0,
                    start_percent=0.0, end_percent=1.0, timestep_kf=["22", 0], weights_override=["27", 0], vae_optional=["1", 2]),
        "21": _node("ACN_ControlNetLoaderAdvanced", cnet=CONTROL),
        "22": _node("TimestepKeyframe", start_percent=0.3, strength=0.6, latent_keyframe=["24", 0], null_latent_kf_strength=0.2, inherit_missing=True,
                    guarantee_steps=1, prev_timestep_kf=["23", 0]),
        "23": _node("ACN_TimestepKeyframeInterpolation", start_percent=0.0, end_percent=0.25, strength_start=1.0, strength_end=0.5,
                    interpolation="linear", intervals=5, null_latent_kf_strength=0.0, inherit_missing=True, print_keyframes=False),
        "24": _node("LatentKeyframeGroup", index_strengths="0=1.0, 2:4=0.5, -1=0.8", latent_optional=["4", 0], print_keyframes=False),
        "27": _node("ACN_CustomT2IAdapterWeights", input_0=0.9, input_1=0.9, input_2=0.9, input_3=0.9, uncond_multiplier=0.0),
    },
    "a ControlNet on one prompt": _controlled(["20", 1], ["3", 0]) | {
        "20": _node("ACN_AdvancedControlNetApplySingle", conditioning=["2", 0], control_net=["21", 0], image=["40", 0], strength=0.9,
                    start_percent=0.0, end_percent=0.4, timestep_kf=["27", 1], model_optional=["30", 0]),
        "21": _node("ControlNetLoaderAdvanced", control_net_name=CONTROL),
        "27": _node("ACN_DefaultUniversalWeights"),
    },
    "SparseCtrl RGB of 2024": _controlled(["30", 0], ["20", 1]) | {
        "20": _node("ACN_AdvancedControlNetApply", positive=["2", 0], negative=["3", 0], control_net=["21", 0], image=["22", 0], strength=0.8,
                    start_percent=0.0, end_percent=1.0),
        "21": _node("ACN_SparseCtrlLoaderAdvanced", sparsectrl_name=SPARSE.format("rgb"), use_motion=True, motion_strength=1.0, motion_scale=1.0,
                    sparse_method=["23", 0], context_aware="nearest_hint", sparse_hint_mult=1.0, sparse_nonhint_mult=1.0, sparse_mask_mult=1.0),
        "22": _node("ACN_SparseCtrlRGBPreprocessor", image=["24", 0], vae=["1", 2], latent_size=["4", 0]),
        "23": _node("ACN_SparseCtrlSpreadMethodNode", spread="starting"),
        "24": _node("RepeatImageBatch", image=["40", 0], amount=2),
        "31": _node("LoadMotionModule", **{**_LOADED, "motion_module": "v3_sd15_mm.ckpt"}),
    },
    "SparseCtrl scribble by index": _controlled(["30", 0], ["20", 1]) | {
        "20": _node("ControlNetApplyAdvanced", positive=["2", 0], negative=["3", 0], control_net=["21", 0], image=["24", 0], strength=1.0,
                    start_percent=0.0, end_percent=0.7),
        "21": _node("ACN_SparseCtrlLoaderAdvanced", sparsectrl_name=SPARSE.format("scribble"), use_motion=True, motion_strength=0.9, motion_scale=1.1,
                    sparse_method=["23", 0], tk_optional=["25", 1], context_aware="nearest_hint", sparse_hint_mult=0.9, sparse_nonhint_mult=0.8,
                    sparse_mask_mult=0.7),
        "23": _node("ACN_SparseCtrlIndexMethodNode", indexes="0, 5,-1"),
        "24": _node("RepeatImageBatch", image=["40", 0], amount=2),
        "25": _node("ACN_DefaultUniversalWeights", cn_extras=["26", 0]),
        "26": _node("ACN_SparseCtrlWeightExtras", sparse_hint_mult=0.5, sparse_nonhint_mult=1.0, sparse_mask_mult=1.0),
        "31": _node("LoadMotionModule", **{**_LOADED, "motion_module": "v3_sd15_mm.ckpt"}),
    },
}  # fmt: skip
"""API prompts: what each node is given, however it was saved."""
SCENES |= {
    "pictures, prompts and noise in one graph": _base(["10", 0]) | _saved() | {
        "5": _sampled_with(["10", 0], ["20", 0], ["20", 1]),
        "10": _node("ADE_UseEvolvedSampling", **_GEN2, m_models=["11", 0], context_options=["13", 0], sample_settings=["14", 0]),
        "11": _node("ADE_ApplyAnimateDiffModelSimple", motion_model=["12", 0], scale_multival=["16", 0]),
        "12": _node("ADE_LoadAnimateDiffModel", model_name="v3_sd15_mm.ckpt"),
        "13": _node("ADE_StandardUniformContextOptions", context_length=4, context_stride=1, context_overlap=2, **_LATER),
        "14": _node("ADE_AnimateDiffSamplingSettings", **_SAMPLING, seed_override=0, adapt_denoise_steps=False),
        "15": _batch(**_AROUND, **_WEIGHTS),
        "16": _node("ADE_MultivalDynamic", float_val=1.2),
        "20": _node("ACN_AdvancedControlNetApply", positive=["15", 0], negative=["15", 1], control_net=["21", 0], image=["22", 0], strength=0.9,
                    start_percent=0.0, end_percent=0.6),
        "21": _node("ACN_SparseCtrlLoaderAdvanced", sparsectrl_name=SPARSE.format("rgb"), use_motion=True, motion_strength=1.0, motion_scale=1.0,
                    sparse_method=["23", 0], context_aware="nearest_hint", sparse_hint_mult=1.0, sparse_nonhint_mult=1.0, sparse_mask_mult=1.0),
        "22": _node("ACN_SparseCtrlRGBPreprocessor", image=["40", 0], vae=["1", 2], latent_size=["4", 0]),
        "23": _node("ACN_SparseCtrlIndexMethodNode", indexes="3"),
        "40": _node("LoadImage", image="example.png"),
    },
    "a ControlNet, a schedule on the checkpoint and the loader of 2023": _base(["10", 0]) | _combined(format="image/webp") | {
        "1": _node("CheckpointLoaderSimpleWithNoiseSelect", ckpt_name="tiny_sd15.safetensors", beta_schedule="sqrt_linear (AnimateDiff)",
                   use_custom_scale_factor=False, scale_factor=0.18215),
        "4": _node("ADE_EmptyLatentImageLarge", width=64, height=64, batch_size=FRAMES),
        "5": _sampled_with(["10", 0], ["20", 0], ["20", 1]),
        "10": _node("ADE_AnimateDiffLoaderWithContext", model=["20", 2], model_name=V2, beta_schedule="autoselect", context_options=["11", 0],
                    motion_lora=["12", 0], motion_scale=1.0, apply_v2_models_properly=True),
        "11": _node("ADE_AnimateDiffUniformContextOptions", **{**_UNIFORM, "closed_loop": True}, **_LATER),
        "12": _node("ADE_AnimateDiffLoRALoader", name="v2_lora_RollingClockwise.ckpt", strength=0.6),
        "20": _node("ACN_AdvancedControlNetApply", positive=["2", 0], negative=["3", 0], control_net=["21", 0], image=["40", 0], strength=0.5,
                    start_percent=0.0, end_percent=1.0, model_optional=["1", 0]),
        "21": _node("ControlNetLoaderAdvanced", control_net_name=CONTROL),
        "40": _node("LoadImage", image="example.png"),
    },
    "views with sample settings": _base(["10", 0]) | _saved() | {
        "10": _node("ADE_UseEvolvedSampling", **{**_GEN2, "beta_schedule": "use existing"}, m_models=["11", 0], context_options=["13", 0],
                    sample_settings=["15", 0]),
        "11": _node("ADE_ApplyAnimateDiffModel", motion_model=["12", 0], start_percent=0.0, end_percent=0.9),
        "12": _node("ADE_LoadAnimateDiffModel", model_name=V2),
        "13": _node("ADE_StandardStaticContextOptions", context_length=6, context_overlap=2, **{**_LATER, "fuse_method": "pyramid"}, view_opts=["14", 0]),
        "14": _node("ADE_StandardStaticViewOptions", view_length=4, view_overlap=2, fuse_method="pyramid"),
        "15": _node("ADE_AnimateDiffSamplingSettings", batch_offset=2, noise_type="constant", seed_gen="auto1111", seed_offset=-3, seed_override=0,
                    adapt_denoise_steps=False),
    },
    "prompt schedules of every version": _LAYOUTS,
    "prompt schedules by latents and of one frame": _BY_LATENTS,
    "values, texts and numbers in prompts": _VALUES,
    "prompt schedules for SDXL": _FOR_SDXL,
}

_KSAMPLER = [3, "fixed", STEPS, 7.0, "euler", "normal", 1.0]
STORED: dict[str, dict[str, Any]] = {
    "loader of 2023 with two values": {"10": [V1, "sqrt_linear (AnimateDiff)"]},
    "loader with context and motion LoRA": {
        "10": [V2, "sqrt_linear (AnimateDiff)", 1.2, False, "lerp (normal)"],
        "11": [4, 1, 1, "uniform", False],
        "12": ["v2_lora_PanLeft.ckpt", 0.8],
        "13": [None, 1.0],
        "7": [8, 0, "old", "image/gif", False, True, "/view?filename=old_00001_.gif&type=output"],
    },
    "first generation with every setting": {
        "10": [LCM, "lcm avg(sqrt_linear,linear)", ""],
        "11": [4, 1, "pyramid", False, 0.0, 1, ""],
        "12": None,
        "13": [16, 18, False, ""],
        "14": [1.01, False, ""],
        "15": [0, "FreeNoise", "comfy", 0, False, ""],
        "16": [2.5, ""],
        "17": ["lcm >> sqrt_linear"],
        "18": [1.1, ""],
        "19": [0.5, 1.0, "absolute", ""],
        "7": [8, 0, "old", "video/h264-mp4", True, True],
    },
    "second generation": {
        "10": ["autoselect"],
        "11": [],
        "12": [V2, ""],
        "13": [4, 1, 2, True, "pyramid", False, 0.0, 1],
        "14": [0, "repeated_context", "comfy", 5, 0, False, ""],
        "15": [1.25],
        "16": [2, "gaussian", 0.25, 0.25, 4, 999, False, "FreeInit [sampler sigma]", 0, 1],
        "17": ["v2_lora_ZoomIn.ckpt", 0.5, ""],
    },
    "two modules over the steps": {
        "10": ["linear (HotshotXL/default)"],
        "11": [0.0, 0.6],
        "12": [V1],
        "13": [0.4, 1.0, ""],
        "14": ["v3_sd15_mm.ckpt"],
        "15": [0.3, True, 1, ""],
        "16": [0.9, ""],
        "17": [0.7],
    },
    "windows without a motion module": {"10": ["autoselect"], "11": [4, 0.0, 1]},
    "a schedule after the motion node": {
        "1": ["tiny_sd15.safetensors", "sqrt_linear (AnimateDiff)"],
        "4": [64, 64, FRAMES],
        "10": {"model_name": LCM, "beta_schedule": "lcm >> sqrt_linear", "motion_scale": 1, "apply_v2_models_properly": True},
        "11": [4, 1, 1, "overlap-linear", False, 0.0, 1],
        "13": [4, 1.0, 1.0],
    },
    "a pass without motion": {
        "11": [V2, "autoselect"],
        "12": [4, 1, "relative", False, 0.0, 1],
        "13": [4, 1, "pyramid"],
    },
    "the sampler of ArtVentureX": {
        "5": ["default", 20, 3, "fixed", STEPS, 7.0, "euler", "normal", 1.0],
        "7": [8, 0, True, "old", "image/webp", True],
        "10": [V2],
        "11": ["v2_lora_TiltUp.ckpt", 1.0],
        "12": [8, 1, 2, "uniform", False],
    },
    "a ControlNet of 2023 with keyframes on its loader": {
        "20": [0.7, 0.0, 0.9],
        "21": [CONTROL],
        "22": [0.0],
        "23": [0.825, False],
        "24": [0, 0.5],
        "25": [2, FRAMES, 1.0, 0.2, "ease-in", False],
        "31": [V2, "auto", "legacy", 0, "authors"],
        "40": ["example.png", "image"],
    },
    "a ControlNet of 2024 with keyframes over steps": {
        "20": [1, 0, 1, ""],
        "22": [0.3, 0.6, 0.2, True, 1, ""],
        "23": [0.0, 0.25, 1.0, 0.5, "linear", 5, 0.0, True, False, ""],
        "24": ["0=1.0, 2:4=0.5, -1=0.8", False, ""],
        "27": [0.9, 0.9, 0.9, 0.9, 0.0, ""],
        "31": [V2, "auto", "legacy", 0, "authors"],
        "40": ["example.png", "image"],
    },
    "a ControlNet on one prompt": {
        "20": [0.9, 0.0, 0.4],
        "27": [""],
        "31": [V2, "auto", "legacy", 0, "authors"],
        "40": ["example.png", "image"],
    },
    "SparseCtrl RGB of 2024": {
        "20": [0.8, 0, 1],
        "21": [SPARSE.format("rgb"), True, 1, 1],
        "31": ["v3_sd15_mm.ckpt", "auto", "legacy", 0, "authors"],
        "40": ["example.png", "image"],
    },
    "SparseCtrl scribble by index": {
        "21": [SPARSE.format("scribble"), True, 0.9, 1.1, "nearest_hint", 0.9, 0.8, 0.7],
        "26": [0.5, 1.0, 1.0, ""],
        "31": ["v3_sd15_mm.ckpt", "auto", "legacy", 0, "authors"],
        "40": ["example.png", "image"],
    },
}
_TEXTS, _FOUR = list(_AROUND.values()), list(_WEIGHTS.values())
_SIZES = list(_LARGE.values())
STORED |= {
    "pictures, prompts and noise in one graph": {
        "10": ["autoselect"], "11": [], "12": ["v3_sd15_mm.ckpt", ""], "13": [4, 1, 2, "flat", False, 0, 1, ""],
        "14": [0, "FreeNoise", "comfy", 0, 0, False, ""], "16": [1.2, ""], "20": [0.9, 0, 0.6], "21": [SPARSE.format("rgb"), True, 1, 1], "22": None,
        "23": ["3"], "40": ["example.png", "image"],
    },
    "a ControlNet, a schedule on the checkpoint and the loader of 2023": {
        "1": ["tiny_sd15.safetensors", "sqrt_linear (AnimateDiff)", False, 0.18215], "4": [64, 64, FRAMES], "7": [8, 0, "old", "image/webp", False, True],
        "10": [V2, "autoselect", 1, True], "11": [4, 1, 1, "uniform", True, "flat", False, 0, 1, ""], "12": ["v2_lora_RollingClockwise.ckpt", 0.6, ""],
        "20": [0.5, 0, 1], "21": [CONTROL], "40": ["example.png", "image"],
    },
    "views with sample settings": {
        "10": ["use existing"], "11": [0, 0.9, ""], "12": [V2], "13": [6, 2, "pyramid", False, 0, 1, ""], "14": [4, 2, "pyramid"],
        "15": [2, "constant", "auto1111", -3, False, ""],
    },
    "prompt schedules of every version": {
        "10": [TRAVEL, FRAMES, *_TEXTS, *_FOUR],
        "11": [TRAVEL, FRAMES, 0, *_TEXTS, *_FOUR],
        "12": [TRAVEL, FRAMES, False, *_TEXTS, *_FOUR],
        "13": [TRAVEL, FRAMES, False, *_TEXTS, 2, *_FOUR],
        "14": [TRAVEL, FRAMES, False, 2],
        "15": [TRAVEL, FRAMES, False, 2, 6],
        "16": [TRAVEL, FRAMES, False, *_TEXTS, 2, 0, *_FOUR],
    },
    "prompt schedules by latents and of one frame": {
        "10": [TRAVEL, *_TEXTS, *_FOUR],
        "11": [TRAVEL, False, *_TEXTS, *_FOUR],
        "12": [TRAVEL, False, *_TEXTS, 1, *_FOUR],
        "13": [TRAVEL, 2],
        "14": [TRAVEL, False, 2],
        "15": [TRAVEL, False, 2, 6],
        "16": [TRAVEL, False, *_TEXTS, 0, 0, *_FOUR],
        "17": [TRAVEL, FRAMES, 3, *_TEXTS, *_FOUR],
        "18": [TRAVEL, FRAMES, 3, False, *_TEXTS, *_FOUR],
        "19": [TRAVEL, FRAMES, False],
        "30": ["0:(1), 7:(4)", FRAMES, 3],
    },
    "values, texts and numbers in prompts": {
        "10": [TRAVEL, FRAMES, False, 0, 0],
        "11": [NUMBERS],
        "12": [NUMBERS, FRAMES],
        "13": [0, 3, "", "", *_NONE.values()],
        "14": ["a dog", 4, "", 0],
        "17": [TRAVEL, FRAMES, 3, *_TEXTS, *_FOUR],
        "24": ["0 = 0.5, 7 = 1.5", False, 0, ""],
    },
    "prompt schedules for SDXL": {
        "10": [*_SIZES, FRAMES, *_AROUND_LARGE.values(), *_FOUR],
        "11": [*_SIZES, FRAMES, True, 0, 120],
        "12": [*_SIZES, *_AROUND_LARGE.values(), *_FOUR],
        "13": [*_SIZES, True, 2, 6],
        "14": [*_SIZES, FRAMES, 3, *_AROUND_LARGE.values(), *_FOUR],
    },
}
"""Values as saved graphs hold them, in the layouts that are in use: short and long, with texts of widgets that are gone, as a table."""


def stored_values(scene: str, key: str) -> Any:
    """What the file of a scene holds for one node."""
    if key in STORED[scene]:
        return STORED[scene][key]
    node = SCENES[scene][key]
    values = [value for value in node["inputs"].values() if not isinstance(value, list)]
    if node["class_type"] == "KSampler":
        inputs = node["inputs"]
        values = [inputs["seed"], "fixed", *(inputs[name] for name in ("steps", "cfg", "sampler_name", "scheduler", "denoise"))]
    return values


def saved_graph(scene: str) -> dict[str, Any]:
    """The file of a scene, as the front ends of 2023 and 2024 wrote it."""
    prompt, links, nodes = SCENES[scene], [], []
    for order, (key, node) in enumerate(prompt.items()):
        inputs = []
        for name, value in node["inputs"].items():
            if isinstance(value, list):
                source, slot = value
                kind = OUTPUTS[prompt[source]["class_type"]][slot]
                links.append([len(links) + 1, int(source), slot, int(key), len(inputs), kind])
                inputs.append({"name": name, "type": kind, "link": len(links)})
        outputs = [{"name": kind, "type": kind, "links": [], "slot_index": slot} for slot, kind in enumerate(OUTPUTS[node["class_type"]])]
        nodes.append({
            "id": int(key), "type": node["class_type"], "pos": [320 * (order % 6), 420 * (order // 6)], "size": [300, 200], "flags": {},
            "order": order, "mode": 0, "inputs": inputs, "outputs": outputs, "properties": {"Node name for S&R": node["class_type"]},
            "widgets_values": stored_values(scene, key),
        })  # fmt: skip
        if nodes[-1]["widgets_values"] is None:
            del nodes[-1]["widgets_values"]
    by_id = {node["id"]: node for node in nodes}
    for link, source, slot, *_ in links:
        by_id[source]["outputs"][slot]["links"].append(link)
    return {
        "last_node_id": max(by_id), "last_link_id": len(links), "nodes": nodes, "links": links, "groups": [], "config": {}, "extra": {},
        "version": 0.4,
    }  # fmt: skip
