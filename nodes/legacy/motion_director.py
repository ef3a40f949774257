"""ADMotionDirector, which trains motion LoRAs, and the AnimateDiff script of the Efficiency nodes. They open, and say what they cannot do."""

from __future__ import annotations

from ..files import CHECKPOINTS, IMAGE_LORAS, MODULES
from .evolved.load import NamedLoRA
from .rows import Given, NewGraph, OldNode, file_in, flag, integer, one_of, real, socket, written


def _no_training(given: Given, graph: NewGraph) -> None:
    raise ValueError(
        f"{given.row.title}: motion LoRAs are not trained by the nodes of ADMotionDirector here. Install that pack to train, or mute "
        "this node and load a trained file with Apply Motion LoRA."
    )


def _no_script(given: Given, graph: NewGraph) -> None:
    raise ValueError(
        "AnimateDiff Script works inside KSampler (Efficient) with AnimateDiff-Evolved only. Use Apply Motion Module on the MODEL, or "
        "AnimateDiff Sampler, and Save Animation."
    )


def _lora(given: Given, graph: NewGraph) -> tuple[NamedLoRA, ...]:
    return (*(given["prev_motion_lora"] or ()), NamedLoRA(given["lora_path"], given["strength"]))


_SCHEDULER = (one_of("scheduler", ("DDIMScheduler", "DDPMScheduler")), flag("use_xformers"))
_ADDITIONAL = socket("additional_models", "ADDITIONAL_MODELS")
_OUT_PIPELINE = (("PIPELINE", "PIPELINE"),)
_PIPELINE = socket("admd_pipeline", "ADMDPIPELINE")
_OUT_TRAINED = ("admd_pipeline", "ADMDPIPELINE")

NODES = (
    OldNode("ADMD_DiffusersLoader", "ADMD Diffusers Loader", (
        _ADDITIONAL, flag("download_default"), *_SCHEDULER, written("model")), _OUT_PIPELINE, _no_training),
    OldNode("ADMD_CheckpointLoader", "ADMD Checkpoint Loader", (_ADDITIONAL, file_in("ckpt_name", CHECKPOINTS), *_SCHEDULER), _OUT_PIPELINE, _no_training),
    OldNode("ADMD_ComfyModelLoader", "ADMD Comfy Model Loader", (
        socket("model", "MODEL"), socket("clip", "CLIP"), socket("vae", "VAE"), socket("motion_model", "MOTION_MODEL_ADE"), *_SCHEDULER),
        _OUT_PIPELINE, _no_training),
    OldNode("ADMD_AdditionalModelSelect", "ADMD Additional Model Select", (
        file_in("motion_module", MODULES), flag("use_adapter_lora", True), file_in("optional_adapter_lora", IMAGE_LORAS)),
        (("additional_models", "ADDITIONAL_MODELS"),), _no_training),
    OldNode("ADMD_InitializeTraining", "ADMD Initialize Training", (
        socket("pipeline", "PIPELINE"), written("lora_name", "motiondirectorlora"), socket("images", "IMAGE"), written("prompt", multiline=True),
        integer("max_train_steps", 300), real("learning_rate", 5e-4), real("learning_rate_spatial", 1e-4), integer("lora_rank", 64),
        integer("seed"), one_of("optimization_method", ("Lion", "AdamW")), flag("include_resnet")),
        (("sanitycheck", "IMAGE"), _OUT_TRAINED, ("lora_info", "LORAINFO")), _no_training),
    OldNode("ADMD_ValidationSettings", "ADMD Validation Settings", (
        integer("seed"), integer("inference_steps", 25), real("guidance_scale", 8.0), real("spatial_scale", 0.5),
        written("validation_prompt", multiline=True)), (("validation_settings", "VALIDATION_SETTINGS"),), _no_training),
    OldNode("ADMD_ValidationSampler", "ADMD Validation Sampler", (socket("validation_settings", "VALIDATION_SETTINGS"), _PIPELINE),
            (_OUT_TRAINED, ("images", "IMAGE")), _no_training),
    OldNode("ADMD_TrainLora", "ADMD Train Lora", (
        _PIPELINE, integer("steps", 100), socket("trigger_input", "VHS_FILENAMES"), socket("opt_images_override", "IMAGE")),
        (_OUT_TRAINED,), _no_training),
    OldNode("ADMD_SaveLora", "ADMD Save Lora", (_PIPELINE, socket("lora_info", "LORAINFO")),
            (("lora_path", "STRING"), _OUT_TRAINED), _no_training, saves=True),
    OldNode("ADMD_MakeBatchList", "ADMD Make Batch List", (socket("images", "IMAGE"), socket("images2", "IMAGE")), (("image_batch_list", "IMAGE"),), _no_training),
    OldNode("ADMD_LoadLora", "ADMD Load Lora", (
        socket("lora_path", "STRING", needed=True), real("strength"), socket("prev_motion_lora", "MOTION_LORA")),
        (("MOTION_LORA", "MOTION_LORA"),), _lora),
)  # fmt: skip
SCRIPTS = (
    OldNode("AnimateDiff Script", "AnimateDiff Script", (
        file_in("motion_model", MODULES), one_of("beta_schedule", ("sqrt_linear (AnimateDiff)",)), integer("frame_rate", 8),
        integer("loop_count"), one_of("format", ("image/gif", "image/webp")), flag("pingpong"), flag("save_image", True),
        socket("script", "SCRIPT"), socket("context_options", "CONTEXT_OPTIONS")), (("SCRIPT", "SCRIPT"),), _no_script),
)
