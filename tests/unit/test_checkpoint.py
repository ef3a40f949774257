"""Opening files and saying what they are: every wrong file gets its own answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from animatediff_native.demo import synthetic
from animatediff_native.motion.attention import sinusoidal_positions
from animatediff_native.motion.checkpoint import describe_motion_module, read_motion_module
from animatediff_native.motion.config import NormScope, Overrides
from animatediff_native.motion.container import ModelFile, read_file
from animatediff_native.motion.describe import describe
from animatediff_native.motion.model import MotionModel
from safetensors.torch import save_file

CHANNELS = (32, 64, 128, 128)
V3 = synthetic.motion_module(channels=CHANNELS, mid=False, positions=32, seed=0)
V2 = synthetic.motion_module(channels=CHANNELS, mid=True, positions=32, seed=0)
BLOCK = "down_blocks.0.motion_modules.0.temporal_transformer"


@pytest.mark.parametrize(("state", "family", "count"), [(V2, "v2", 588), (V3, "v3", 560)])
@pytest.mark.parametrize("container", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_motion_modules(tmp_path: Path, state, family: str, count: int, container: str, dtype: torch.dtype) -> None:
    state = {key: tensor.to(dtype) for key, tensor in state.items()}
    path = tmp_path / ("mm.safetensors" if container == "safetensors" else "mm.ckpt")
    if container == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=container == "zip")
    found = read_motion_module(read_file(path))
    config, own = found.config, found.motion
    assert (config.family, config.down_channels, config.positions, len(own)) == (family, CHANNELS, 32, count)
    network = MotionModel(config, device="meta")
    network.load_state_dict(own, strict=True, assign=True)
    assert torch.equal(network.down_blocks[0].motion_modules[0].temporal_transformer.proj_in.weight, state[f"{BLOCK}.proj_in.weight"])


def test_full_size_channels_are_read_from_the_tensors() -> None:
    with torch.device("meta"):
        shapes = {
            key: torch.empty([size * 10 if size in CHANNELS or (size % 32 == 0 and size > 32) else size for size in t.shape])
            for key, t in V2.items()
            if not key.endswith("pe")
        } | {key: torch.empty(1, 32, t.shape[2] * 10) for key, t in V2.items() if key.endswith("pe")}
    found = read_motion_module(ModelFile("mm_sd_v15_v2.ckpt", shapes))
    config, own = found.config, found.motion
    assert config.down_channels == (320, 640, 1280, 1280)
    assert sum(t.numel() for key, t in own.items() if not key.endswith("pe")) == 453_209_280


@pytest.mark.parametrize("wrapper", ["state_dict", "module"])
def test_training_checkpoints(tmp_path: Path, wrapper: str) -> None:
    inner = {f"module.{key}": tensor for key, tensor in V3.items()} | {"module.conv_in.weight": torch.zeros(32, 4, 3, 3)}
    torch.save({"epoch": 3, "global_step": 7, wrapper: inner}, tmp_path / "train.ckpt")
    found = read_motion_module(read_file(tmp_path / "train.ckpt"))
    config, own = found.config, found.motion
    assert config.family == "v3" and own.keys() == V3.keys()


# --- models of another kind ------------------------------------------------------------------------------------------

OTHERS = {
    "motion lora": ["down_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.0.processor.to_q_lora.down.weight"],
    "domain adapter": ["down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.down.weight"],
    "lora": ["lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight"],
    "checkpoint": ["model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.decoder.conv_out.weight"],
    "sparsectrl": ["controlnet_cond_embedding.conv_in.weight", f"{BLOCK}.proj_in.weight"],
    "controlnet": ["controlnet_cond_embedding.conv_in.weight", "down_blocks.0.resnets.0.conv1.weight"],
    "camera": [f"{BLOCK}.transformer_blocks.0.attention_blocks.0.processor.qkv_merge.weight"],
    "unet": ["down_blocks.0.resnets.0.conv1.weight", "conv_in.weight"],
    "vae": ["decoder.conv_out.weight", "encoder.conv_in.weight"],
    "text encoder": ["text_model.encoder.layers.0.mlp.fc1.weight"],
    "unknown": ["some.tensor", "another.tensor"],
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
def test_another_kind_says_what_it_is(kind: str) -> None:
    tensors = {key: torch.zeros(1) for key in OTHERS[kind]}
    file = ModelFile("x.safetensors", tensors)
    assert describe(file.shapes).kind == kind
    with pytest.raises(ValueError, match="Needed a motion module, but x.safetensors is ") as caught:
        read_motion_module(file)
    assert str(describe(file.shapes)) in str(caught.value)
    if kind != "unknown":
        assert describe(file.shapes).advice


REAL = {
    "v3_sd15_adapter": (
        "down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.down.weight",
        "is a LoRA of the image model (a domain adapter, such as v3_sd15_adapter). Put it into models/loras",
    ),
    "AnimateLCM_sd15_lora": ("lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight", "is a LoRA of the image model"),
    "v2_lora_diffusers": (
        "unet.down_blocks.0.motion_modules.0.transformer_blocks.0.attn1.processor.to_q_lora.down.weight",
        "is a motion LoRA. Put it into models/animatediff_motion_lora",
    ),
    "v3_sd15_sparsectrl_rgb": (
        f"controlnet_cond_embedding.weight {BLOCK}.norm.weight conv_in.weight",
        "is a SparseCtrl model for drawings (scribble). Put it into models/controlnet and use Load SparseCtrl",
    ),
    "CameraCtrl_pruned": (
        f"encoder_conv_in.weight {BLOCK}.transformer_blocks.0.attention_blocks.0.processor.qkv_merge.bias",
        "is a CameraCtrl or MotionCtrl adapter. This pack does not use it",
    ),
    "motionctrl_cmcm": (
        f"module.{BLOCK}.transformer_blocks.0.cc_projection.weight module.{BLOCK}.transformer_blocks.0.norms.0.weight",
        "is a CameraCtrl or MotionCtrl adapter",
    ),
    "motionctrl_omcm": ("module.conv_in.weight module.body.0.block1.weight", "is a CameraCtrl or MotionCtrl adapter"),
    "sd15_checkpoint": (
        "model.diffusion_model.input_blocks.0.0.weight cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight",
        "is an image model checkpoint. Put it into models/checkpoints and use Load Checkpoint",
    ),
}


@pytest.mark.parametrize("name", REAL)
def test_keys_of_real_files_of_another_kind(tmp_path: Path, name: str) -> None:
    """Through the file, since opening it is what removes ``module.``."""
    keys, message = REAL[name]
    torch.save({key: torch.zeros(1) for key in keys.split()}, tmp_path / f"{name}.ckpt")
    with pytest.raises(ValueError, match=re.escape(f"Needed a motion module, but {name}.ckpt {message}")):
        read_motion_module(read_file(tmp_path / f"{name}.ckpt"))


def test_files_without_tensors(tmp_path: Path) -> None:
    torch.save({"state_dict": {"epoch": 3}}, tmp_path / "a.ckpt")
    torch.save([torch.zeros(1)], tmp_path / "b.ckpt")
    for name in ("a.ckpt", "b.ckpt"):
        with pytest.raises(ValueError, match=rf"{name} is an unknown kind of file \(first keys: no tensors at all\)\."):
            read_motion_module(read_file(tmp_path / name))


def test_missing_surplus_and_misshapen_tensors_are_named() -> None:
    key = f"{BLOCK}.proj_in.weight"
    with pytest.raises(ValueError, match=rf"mm lacks 1 of 560 tensors: {key}\. Download"):
        read_motion_module(ModelFile("mm", {k: t for k, t in V3.items() if k != key}))
    with pytest.raises(ValueError, match=rf"mm has 1 tensors that no such model has: {BLOCK}\.extra"):
        read_motion_module(ModelFile("mm", {**V3, f"{BLOCK}.extra": torch.zeros(1)}))
    with pytest.raises(ValueError, match=rf"1 tensors of another shape: {key} is \(3, 3\), needs \(32, 32\)"):
        read_motion_module(ModelFile("mm", {**V3, key: torch.zeros(3, 3)}))
    with pytest.raises(ValueError, match=rf"1 tensors that are not floating point: {key}"):
        read_motion_module(ModelFile("mm", {**V3, key: torch.zeros(32, 32, dtype=torch.int32)}))


@pytest.mark.parametrize("prefix", ["module.", "unet.", "model.diffusion_model.", "diffusion_model.", "module.unet."])
def test_prefixes(prefix: str) -> None:
    found = read_motion_module(ModelFile("mm", {f"{prefix}{key}": tensor for key, tensor in V2.items()}))
    config, own = found.config, found.motion
    assert config.family == "v2" and all(own[key] is V2[key] for key in V2)


@pytest.mark.parametrize(
    ("name", "state", "family"),
    [
        ("mm_sd_v15_v2.ckpt", V2, "v2"),
        ("animatediff_lightning_8step_comfyui.safetensors", V2, "lightning"),
        ("AnimateLCM-diffusers.safetensors", V2, "lcm"),
        ("mm-p_0.75.pth", V2, "v2"),
        ("v3_sd15_mm.ckpt", V3, "v3"),
    ],
)
def test_names_decide_where_keys_do_not(name: str, state, family: str) -> None:
    assert read_motion_module(ModelFile(name, state)).config.family == family


def without_tables(state):
    return {key: tensor for key, tensor in state.items() if not key.endswith(".pe")}


@pytest.mark.parametrize(
    ("name", "state", "family", "positions"),
    [
        ("mm_sd_v15.ckpt", V3, "v1", 24),
        ("temporaldiff-v1.safetensors", V3, "v1", 24),
        ("mm_sd_v15_v3.safetensors", V3, "v3", 32),
        ("train.ckpt", V3, "v3", 32),
        ("AnimateLCM_sd15_t2v.ckpt", V2, "lcm", 64),
    ],
)
def test_files_without_positions_get_those_of_their_family(name: str, state, family: str, positions: int) -> None:
    found = read_motion_module(ModelFile(name, without_tables(state)))
    config, own = found.config, found.motion
    assert (config.family, config.positions) == (family, positions)
    assert torch.equal(own[f"{BLOCK}.transformer_blocks.0.attention_blocks.1.pos_encoder.pe"], sinusoidal_positions(positions, 32))


def test_overrides() -> None:
    file = ModelFile("mm_sd_v15_v2.ckpt", V2)
    found = read_motion_module(file, Overrides(family="lightning", positions=48))
    config, own = found.config, found.motion
    assert (config.family, config.norm_scope, config.positions, config.stored_positions) == ("lightning", NormScope.PER_FRAME, 48, 32)
    tables = [tensor for key, tensor in own.items() if key.endswith(".pe")]
    assert all(torch.equal(table, sinusoidal_positions(48, table.shape[2])) for table in tables) and len(tables) == 42
    with pytest.raises(ValueError, match=r"mm_sd_v15_v2\.ckpt is a motion module for SD1\.5, the family hotshot is for SDXL"):
        read_motion_module(file, Overrides(family="hotshot"))


def test_positions_in_eight_bits_are_computed() -> None:
    """float8 tells 0.95 from 1.0 at best, so neighbouring frames would share a place."""
    state = {key: tensor.to(torch.float8_e4m3fn) for key, tensor in V3.items()}
    found = read_motion_module(ModelFile("mm", state))
    config, own = found.config, found.motion
    table = own[f"{BLOCK}.transformer_blocks.0.attention_blocks.0.pos_encoder.pe"]
    assert config.positions == 32 and torch.equal(table, sinusoidal_positions(32, 32))
    assert own[f"{BLOCK}.proj_in.weight"] is state[f"{BLOCK}.proj_in.weight"]


def test_tables_of_several_lengths_are_refused() -> None:
    key = f"{BLOCK}.transformer_blocks.0.attention_blocks.0.pos_encoder.pe"
    with pytest.raises(ValueError, match="mm has positional encodings of several lengths, or lacks some"):
        read_motion_module(ModelFile("mm", {**V3, key: torch.zeros(1, 16, 32)}))
    with pytest.raises(ValueError, match="mm has positional encodings of several lengths, or lacks some"):
        read_motion_module(ModelFile("mm", {k: t for k, t in V3.items() if k != key}))


def test_two_spellings_in_one_file_are_refused() -> None:
    key = f"{BLOCK}.proj_in.weight"
    with pytest.raises(ValueError, match=f"mm spells {key} in two ways"):
        read_motion_module(ModelFile("mm", {**V3, key.replace(".temporal_transformer", ""): V3[key]}))


def test_summary() -> None:
    file = ModelFile("animatediff_lightning_8step_comfyui.safetensors", {k: t.half() for k, t in V2.items()})
    found = read_motion_module(file)
    config, own = found.config, found.motion
    assert describe_motion_module(file.name, config, own).splitlines() == [
        "AnimateDiff-Lightning, for SD1.5",
        "up to 32 frames at once, trained on 16",
        "21 temporal blocks, 5 M weights, fp16",
        "recommended: euler, sgm_uniform, 8 steps, CFG 1",
        "norms see one frame; betas: linear 0.00085 to 0.012",
    ]
