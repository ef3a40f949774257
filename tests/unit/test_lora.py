"""Motion LoRA files against motion modules."""

from __future__ import annotations

import json

import pytest
import torch
from animatediff_native.demo import synthetic
from animatediff_native.motion.container import ModelFile
from animatediff_native.motion.lora import MotionLoRA, match_motion_lora, read_motion_lora
from animatediff_tests.spellings import SPELLINGS, spelled

CHANNELS = (32, 64, 128, 128)
LORA = synthetic.motion_lora(channels=CHANNELS, mid=True, rank=4, seed=0)
PLACE = "down_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0"


def shapes(channels=CHANNELS, mid: bool = True) -> dict[str, tuple[int, ...]]:
    state = synthetic.motion_module(channels=channels, mid=mid, positions=32, seed=0)
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def read(tensors, name: str = "pan", metadata: dict[str, str] | None = None) -> MotionLoRA:
    return read_motion_lora(ModelFile(name, tensors, metadata or {}))


def test_every_pair_finds_its_weight() -> None:
    known = shapes()
    targets = match_motion_lora(read(LORA), known)
    assert len(LORA) == 336 and len(targets) == 168
    assert all(key in known for key in targets.values())
    assert any(key.endswith("to_out.0.weight") for key in targets.values())


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_all_spellings_are_the_same_lora(spelling: str) -> None:
    other = spelled(LORA, spelling)
    assert spelling == "original" or other.keys() != LORA.keys()
    renamed, wanted = read(other).tensors, read(LORA).tensors
    assert renamed.keys() == wanted.keys()
    assert all(renamed[key] is wanted[key] for key in wanted)


@pytest.mark.parametrize(
    ("stem", "parameter"),
    [
        (f"{PLACE}.ff.net.0.processor.proj_lora.{{}}.weight", "ff.net.0.proj"),
        (f"{PLACE}.ff.net.processor.2_lora.{{}}.weight", "ff.net.2"),
        (f"{PLACE}.attention_blocks.1.to_out.processor.0_lora.{{}}.weight", "attention_blocks.1.to_out.0"),
        (f"{PLACE}.attention_blocks.1.to_k.lora.{{}}.weight", "attention_blocks.1.to_k"),
        (f"module.{PLACE}.attention_blocks.0.processor.to_v_lora.{{}}.weight", "attention_blocks.0.to_v"),
        (f"{PLACE.replace('.', '_')}_ff_net_2.lora_{{}}.weight", "ff.net.2"),
        (f"{PLACE.replace('.', '_')}_ff_net_0_proj.lora_{{}}.weight", "ff.net.0.proj"),
        (f"lora_unet_{PLACE.replace('.temporal_transformer', '').replace('.', '_')}_attn2_to_out_0.lora_{{}}.weight",
         "attention_blocks.1.to_out.0"),
    ],
)  # fmt: skip
def test_odd_names(stem: str, parameter: str) -> None:
    lora = read({stem.format("up"): torch.zeros(32, 4), stem.format("down"): torch.zeros(4, 32)})
    assert lora.parameters == [f"{PLACE}.{parameter}"]


def test_peft_names_with_an_adapter() -> None:
    stem = "base_model.model.unet.mid_block.motion_modules.0.transformer_blocks.0.attn1.to_out.0.lora_{}.default.weight"
    lora = read({stem.format("B"): torch.zeros(128, 4), stem.format("A"): torch.zeros(4, 128)})
    assert lora.parameters == ["mid_block.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.0.to_out.0"]


def test_alpha_of_keys_goes_before_that_of_metadata() -> None:
    parameter = f"{PLACE}.attention_blocks.0.to_q"
    key = f"{parameter.replace('.', '_')}"
    pair = {f"{key}.lora_up.weight": torch.zeros(32, 4), f"{key}.lora_down.weight": torch.zeros(4, 32)}
    assert f"{parameter}.alpha" not in read(pair).tensors
    assert read(pair, metadata={"alpha": "2"}).tensors[f"{parameter}.alpha"] == 2
    notes = {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 8, "unet.r": 4})}
    assert read(pair, metadata=notes).tensors[f"{parameter}.alpha"] == 8
    own = read({**pair, f"{key}.alpha": torch.tensor(3.0)}, metadata=notes)
    assert own.tensors[f"{parameter}.alpha"] == 3


@pytest.mark.parametrize("note", ["{", "[]", "7", '{"unet.lora_alpha": null}'])
def test_broken_metadata_is_no_alpha(note: str) -> None:
    assert not any(key.endswith(".alpha") for key in read(LORA, metadata={"lora_adapter_metadata": note}).tensors)


def test_middle_entries_are_passed_over_without_a_middle() -> None:
    assert len(match_motion_lora(read(LORA), shapes(mid=False))) == 160


def test_another_base_is_refused() -> None:
    with pytest.raises(ValueError, match="pan was trained for another base than this motion module"):
        match_motion_lora(read(LORA), shapes(channels=(64, 128, 256, 256)))
    with pytest.raises(ValueError, match=r"pan was trained for another base.*first: (down|up)_blocks"):
        match_motion_lora(read(LORA), shapes(channels=(32, 64, 128), mid=False))


def test_an_sdxl_lora_is_refused_on_an_sd15_module() -> None:
    """Its down blocks fit; only the up blocks tell."""
    lora = read(synthetic.motion_lora(channels=(32, 64, 128), mid=False, rank=4, seed=0))
    with pytest.raises(ValueError, match=r"48 of 120 weights do not fit, first: up_blocks\.1.*changes 64x64"):
        match_motion_lora(lora, shapes())


def test_no_match_is_refused() -> None:
    middle = {key: tensor for key, tensor in LORA.items() if key.startswith("mid_block.")}
    assert len(match_motion_lora(read(middle), shapes())) == 8
    with pytest.raises(ValueError, match="first: it changes nothing in this module"):
        match_motion_lora(read(middle), shapes(mid=False))


def test_half_a_pair_is_refused() -> None:
    key = next(key for key in LORA if ".down." in key)
    with pytest.raises(ValueError, match="pan is incomplete: 1 tensors lack their other half"):
        read({k: t for k, t in LORA.items() if k != key})


def test_two_spellings_of_one_weight_are_refused() -> None:
    with pytest.raises(ValueError, match=r"pan changes .+ twice \(one key is unet\..+\)\. Download"):
        read({**LORA, **spelled(LORA, "peft")})


def test_other_files_say_what_they_are() -> None:
    with pytest.raises(ValueError, match="Needed a motion LoRA, but mm is a motion module for SD1.5"):
        read(synthetic.motion_module(channels=CHANNELS, mid=False, positions=32, seed=0), "mm")
    with pytest.raises(ValueError, match="Needed a motion LoRA, but x is a LoRA of the image model"):
        read({"lora_unet_mid_block.lora_up.weight": torch.zeros(1)}, "x")
    with pytest.raises(ValueError, match="x is a motion LoRA with 1 keys of no known spelling: down_blocks"):
        read({"down_blocks.0.motion_modules.0.what.lora_Q.weight_lora.up": torch.zeros(1)}, "x")


def test_halves_of_different_rank_are_refused() -> None:
    """The host logs an error for such a pair and samples on without it."""
    key = next(key for key in LORA if ".down." in key)
    for broken in (LORA[key][:2], LORA[key][0]):
        with pytest.raises(ValueError, match=r"pan is damaged: the halves of .+ do not multiply \(up .+, down .+\)\."):
            read({**LORA, key: broken})
