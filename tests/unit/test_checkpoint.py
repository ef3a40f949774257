"""Opening files and saying what they are: every wrong file gets its own answer."""

from __future__ import annotations

import json
import os
import pickle
import re
from pathlib import Path

import pytest
import torch
from animatediff_native.demo import synthetic
from animatediff_native.motion.checkpoint import describe, read_motion_module, read_tensors
from animatediff_native.motion.model import MotionModel
from hypothesis import given, settings
from hypothesis import strategies as st
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
    config, own = read_motion_module(read_tensors(path), path.name)
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
    config, own = read_motion_module(shapes, "mm_sd_v15_v2.ckpt")
    assert config.down_channels == (320, 640, 1280, 1280)
    assert sum(t.numel() for key, t in own.items() if not key.endswith("pe")) == 453_209_280


@pytest.mark.parametrize("wrapper", ["state_dict", "module"])
def test_training_checkpoints(tmp_path: Path, wrapper: str) -> None:
    inner = {f"module.{key}": tensor for key, tensor in V3.items()} | {"module.conv_in.weight": torch.zeros(32, 4, 3, 3)}
    torch.save({"epoch": 3, "global_step": 7, wrapper: inner}, tmp_path / "train.ckpt")
    config, own = read_motion_module(read_tensors(tmp_path / "train.ckpt"), "train.ckpt")
    assert config.family == "v3" and own.keys() == V3.keys()


# --- files that are not models ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty (0 bytes)"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 1\n", "is a git-lfs pointer of"),
        (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "is a web page, not a model"),
    ],
)
def test_what_downloads_leave_behind(tmp_path: Path, suffix: str, content: bytes, message: str) -> None:
    path = tmp_path / f"mm{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"mm{suffix} {message}")):
        read_tensors(path)


def test_text(tmp_path: Path) -> None:
    (tmp_path / "mm.ckpt").write_text("404: Not Found")
    with pytest.raises(ValueError, match="is a text file, not a model"):
        read_tensors(tmp_path / "mm.ckpt")
    (tmp_path / "mm.safetensors").write_text("404: Not Found")
    with pytest.raises(ValueError, match="is not a safetensors file"):
        read_tensors(tmp_path / "mm.safetensors")


@pytest.mark.parametrize("keep", [1, 7, 8, 9, 100, 5_000, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("container", ["ckpt", "safetensors"])
def test_truncated(tmp_path: Path, keep: float, container: str) -> None:
    path = tmp_path / f"mm.{container}"
    save_file(V3, path) if container == "safetensors" else torch.save(V3, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if keep < 1 else int(keep)])
    with pytest.raises(ValueError, match=f"mm.{container} is .*Download it again"):
        read_tensors(path)


def test_renamed_containers(tmp_path: Path) -> None:
    torch.save(V3, tmp_path / "zip.safetensors")
    with pytest.raises(ValueError, match="is not a safetensors file, whatever its name says"):
        read_tensors(tmp_path / "zip.safetensors")
    save_file(V3, tmp_path / "tensors.ckpt")
    with pytest.raises(ValueError, match=r"tensors\.ckpt is a safetensors file under a wrong name"):
        read_tensors(tmp_path / "tensors.ckpt")


class Bomb:
    """Pickles to a call that makes a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("container", ["zip", "legacy", "plain"])
def test_a_hostile_pickle_runs_nothing(tmp_path: Path, container: str) -> None:
    mark, path = tmp_path / "ran", tmp_path / "mm.ckpt"
    if container == "plain":
        path.write_bytes(pickle.dumps({"a": Bomb(mark)}))
    else:
        torch.save({**V3, "a": Bomb(mark)}, path, _use_new_zipfile_serialization=container == "zip")
    with pytest.raises(ValueError, match="opening it could run code|is damaged"):
        read_tensors(path)
    assert not mark.exists()


# --- models of another kind ------------------------------------------------------------------------------------------

OTHERS = {
    "motion lora": ["down_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.0.processor.to_q_lora.down.weight"],
    "lora": ["down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.down.weight"],
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
    assert describe(tensors).kind == kind
    with pytest.raises(ValueError, match="Needed a motion module, but x.safetensors is ") as caught:
        read_motion_module(tensors, "x.safetensors")
    assert str(describe(tensors)) in str(caught.value)
    if kind != "unknown":
        assert describe(tensors).advice


REAL = {
    "v3_sd15_adapter": (
        "down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.down.weight",
        "is a LoRA of the image model (the v3 domain adapter is one). Put it into models/loras",
    ),
    "AnimateLCM_sd15_lora": ("lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight", "is a LoRA of the image model"),
    "v2_lora_diffusers": (
        "unet.down_blocks.0.motion_modules.0.transformer_blocks.0.attn1.processor.to_q_lora.down.weight",
        "is a motion LoRA. Put it into models/animatediff_motion_lora",
    ),
    "v3_sd15_sparsectrl_rgb": (
        f"controlnet_cond_embedding.weight {BLOCK}.norm.weight conv_in.weight",
        "is a SparseCtrl model. It is a control net for single frames",
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
        read_motion_module(read_tensors(tmp_path / f"{name}.ckpt"), f"{name}.ckpt")


def test_files_without_tensors(tmp_path: Path) -> None:
    torch.save({"state_dict": {"epoch": 3}}, tmp_path / "a.ckpt")
    torch.save([torch.zeros(1)], tmp_path / "b.ckpt")
    for name in ("a.ckpt", "b.ckpt"):
        with pytest.raises(ValueError, match=rf"{name} is an unknown kind of file \(first keys: no tensors at all\)\."):
            read_motion_module(read_tensors(tmp_path / name), name)


def test_missing_surplus_and_misshapen_tensors_are_named() -> None:
    key = f"{BLOCK}.proj_in.weight"
    with pytest.raises(ValueError, match=rf"mm lacks 1 of 560 tensors: {key}\. Download"):
        read_motion_module({k: t for k, t in V3.items() if k != key}, "mm")
    with pytest.raises(ValueError, match=rf"mm has 1 tensors that no motion module has: {BLOCK}\.extra"):
        read_motion_module({**V3, f"{BLOCK}.extra": torch.zeros(1)}, "mm")
    with pytest.raises(ValueError, match=rf"1 tensors of another shape: {key} is \(3, 3\), needs \(32, 32\)"):
        read_motion_module({**V3, key: torch.zeros(3, 3)}, "mm")
    with pytest.raises(ValueError, match=rf"1 tensors that are not floating point: {key}"):
        read_motion_module({**V3, key: torch.zeros(32, 32, dtype=torch.int32)}, "mm")


@pytest.mark.parametrize(
    ("channels", "mid", "positions", "family"),
    [
        ((32, 64, 128), False, 32, "AnimateDiff-SDXL or HotshotXL"),
        (CHANNELS, False, 24, "AnimateDiff v1"),
        (CHANNELS, True, 64, "LongAnimateDiff"),
        (CHANNELS, True, None, "AnimateLCM"),
    ],
)
def test_families_to_come_are_named(channels, mid: bool, positions: int | None, family: str) -> None:
    state = synthetic.motion_module(channels=channels, mid=mid, positions=positions, seed=0)
    with pytest.raises(ValueError, match=f"is a motion module of the family {family}, which this version does not support"):
        read_motion_module(state, "mm")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_damage_is_refused_with_our_error(data) -> None:
    state = dict(V3)
    for _ in range(data.draw(st.integers(1, 3))):
        key = data.draw(st.sampled_from(sorted(state)))
        tensor = state.pop(key)
        damage = data.draw(st.sampled_from(["drop", "rename", "reshape", "retype"]))
        if damage == "rename":
            state[f"{key}.{data.draw(st.sampled_from('abc'))}"] = tensor
        elif damage == "reshape":
            state[key] = tensor.new_zeros(*tensor.shape, 2)
        elif damage == "retype":
            state[key] = tensor.to(torch.int64)
    with pytest.raises(ValueError, match="mm "):
        read_motion_module(state, "mm")


def test_safetensors_header_that_lies(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 999]}}).encode()
    (tmp_path / "mm.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 16)
    with pytest.raises(ValueError, match=r"mm\.safetensors is damaged"):
        read_tensors(tmp_path / "mm.safetensors")
