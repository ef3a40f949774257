"""Opening files and saying what they are: every wrong file gets its own answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from animatediff_native.demo import synthetic
from animatediff_native.motion.checkpoint import read_motion_module
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
    config, own = read_motion_module(read_file(path))
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
    config, own = read_motion_module(ModelFile("mm_sd_v15_v2.ckpt", shapes))
    assert config.down_channels == (320, 640, 1280, 1280)
    assert sum(t.numel() for key, t in own.items() if not key.endswith("pe")) == 453_209_280


@pytest.mark.parametrize("wrapper", ["state_dict", "module"])
def test_training_checkpoints(tmp_path: Path, wrapper: str) -> None:
    inner = {f"module.{key}": tensor for key, tensor in V3.items()} | {"module.conv_in.weight": torch.zeros(32, 4, 3, 3)}
    torch.save({"epoch": 3, "global_step": 7, wrapper: inner}, tmp_path / "train.ckpt")
    config, own = read_motion_module(read_file(tmp_path / "train.ckpt"))
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
        "is a SparseCtrl model for drawings (scribble). It is a control net for single frames",
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
    with pytest.raises(ValueError, match=rf"mm has 1 tensors that no motion module has: {BLOCK}\.extra"):
        read_motion_module(ModelFile("mm", {**V3, f"{BLOCK}.extra": torch.zeros(1)}))
    with pytest.raises(ValueError, match=rf"1 tensors of another shape: {key} is \(3, 3\), needs \(32, 32\)"):
        read_motion_module(ModelFile("mm", {**V3, key: torch.zeros(3, 3)}))
    with pytest.raises(ValueError, match=rf"1 tensors that are not floating point: {key}"):
        read_motion_module(ModelFile("mm", {**V3, key: torch.zeros(32, 32, dtype=torch.int32)}))
