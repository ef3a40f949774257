"""Motion LoRA files against motion modules."""

from __future__ import annotations

import pytest
import torch
from animatediff_native.demo import synthetic
from animatediff_native.motion.lora import match_motion_lora, read_motion_lora

CHANNELS = (32, 64, 128, 128)
LORA = synthetic.motion_lora(channels=CHANNELS, mid=True, rank=4, seed=0)


def shapes(channels=CHANNELS, mid: bool = True) -> dict[str, tuple[int, ...]]:
    state = synthetic.motion_module(channels=channels, mid=mid, positions=32, seed=0)
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def test_every_pair_finds_its_weight() -> None:
    known = shapes()
    targets = match_motion_lora(read_motion_lora(LORA, "pan"), known, "pan")
    assert len(LORA) == 336 and len(targets) == 168
    assert all(key in known for key in targets.values())
    assert any(key.endswith("to_out.0.weight") for key in targets.values())


def test_middle_entries_are_passed_over_without_a_middle() -> None:
    assert len(match_motion_lora(read_motion_lora(LORA, "pan"), shapes(mid=False), "pan")) == 160


def test_another_base_is_refused() -> None:
    with pytest.raises(ValueError, match="pan was trained for another base than this motion module"):
        match_motion_lora(read_motion_lora(LORA, "pan"), shapes(channels=(64, 128, 256, 256)), "pan")
    with pytest.raises(ValueError, match=r"pan was trained for another base.*first: (down|up)_blocks"):
        match_motion_lora(read_motion_lora(LORA, "pan"), shapes(channels=(32, 64, 128), mid=False), "pan")


def test_an_sdxl_lora_is_refused_on_an_sd15_module() -> None:
    """Its down blocks fit; only the up blocks tell."""
    lora = read_motion_lora(synthetic.motion_lora(channels=(32, 64, 128), mid=False, rank=4, seed=0), "pan")
    with pytest.raises(ValueError, match=r"48 of 120 weights do not fit, first: up_blocks\.1.*changes 64x64"):
        match_motion_lora(lora, shapes(), "pan")


def test_no_match_is_refused() -> None:
    middle = {key: tensor for key, tensor in LORA.items() if key.startswith("mid_block.")}
    assert len(match_motion_lora(read_motion_lora(middle, "pan"), shapes(), "pan")) == 8
    with pytest.raises(ValueError, match="first: it changes nothing in this module"):
        match_motion_lora(read_motion_lora(middle, "pan"), shapes(mid=False), "pan")


def test_half_a_pair_is_refused() -> None:
    key = next(key for key in LORA if ".down." in key)
    with pytest.raises(ValueError, match="pan is incomplete: 1 tensors lack their other half"):
        read_motion_lora({k: t for k, t in LORA.items() if k != key}, "pan")


def test_other_files_say_what_they_are() -> None:
    with pytest.raises(ValueError, match="Needed a motion LoRA, but mm is a motion module"):
        read_motion_lora(synthetic.motion_module(channels=CHANNELS, mid=False, positions=32, seed=0), "mm")
    with pytest.raises(ValueError, match="Needed a motion LoRA, but x is a LoRA of the image model"):
        read_motion_lora({"lora_unet_mid_block.lora_up.weight": torch.zeros(1)}, "x")
    with pytest.raises(ValueError, match="in a spelling this version does not read yet"):
        read_motion_lora({"unet.down_blocks.0.motion_modules.0.attn1.to_q.lora_A.weight": torch.zeros(1)}, "x")


def test_halves_of_different_rank_are_refused() -> None:
    """The host logs an error for such a pair and samples on without it."""
    key = next(key for key in LORA if ".down." in key)
    for broken in (LORA[key][:2], LORA[key][0]):
        with pytest.raises(ValueError, match=r"pan is damaged: the halves of .+ do not multiply \(up .+, down .+\)\."):
            read_motion_lora({**LORA, key: broken}, "pan")
