"""Over all public file formats: the patterns themselves, what each file is, and that ours load and run."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from animatediff_native.motion.checkpoint import describe_motion_module, original_keys, read_motion_module
from animatediff_native.motion.config import FAMILIES
from animatediff_native.motion.container import ModelFile, read_file
from animatediff_native.motion.describe import describe
from animatediff_native.motion.lora import match_motion_lora, read_motion_lora
from animatediff_native.motion.model import MotionModel
from animatediff_tests.formats import FORMATS, FULL, full, module, small, write

SIZES = {
    # name: tensors, values, bytes, first 16 digits of a SHA-256 over the sorted lines "key shape dtype"
    "mm_sd_v14": (560, 417982400, 1671929600, "0c53decaf256dcdb"),
    "mm_sd_v15": (560, 417982400, 1671929600, "0c53decaf256dcdb"),
    "mm_sd_v15_v2": (588, 454417600, 1817670400, "78c77d213211172b"),
    "v3_sd15_mm": (560, 418264000, 1673056000, "ba16ab76c3a139da"),
    "mm_sdxl_v10_beta": (420, 237496000, 949984000, "28cd5419d1f7a7dd"),
    "conrevo_mm_sd15_v1_fp16": (560, 417982400, 835964800, "eff124accb6689fd"),
    "conrevo_mm_sd15_v2_fp16": (588, 454417600, 908835200, "7bda5c89d1e618a6"),
    "conrevo_mm_sd15_v3_fp16": (560, 418264000, 836528000, "e432a984f652a69d"),
    "conrevo_mm_sd15_AnimateLCM_fp16": (546, 453209280, 906418560, "e6ec6c6a6b382895"),
    "conrevo_mm_sdxl_v10_beta_fp16": (420, 237496000, 474992000, "2d17f3d86df242fd"),
    "conrevo_mm_sdxl_hs_fp16": (420, 237316800, 474633600, "b728dd5c8255621c"),
    "hsxl_temporal_layers": (420, 237316800, 949267200, "27b3b6bdebd82831"),
    "hsxl_temporal_layers_f16": (420, 237316800, 474633600, "89ed2c8b0f9ee740"),
    "AnimateLCM_sd15_t2v": (546, 453209280, 1812837120, "9c37ee643db2fc97"),
    "AnimateLCM_sd15_i2v": (584, 530037120, 2120148480, "5653206857ab6cd2"),
    "animatediff_lightning_1step_comfyui": (588, 454417600, 908835200, "7bda5c89d1e618a6"),
    "animatediff_lightning_1step_diffusers": (567, 453813440, 907626880, "a104a5d3ebc5eb90"),
    "animatediff_lightning_2step_comfyui": (588, 454417600, 908835200, "7bda5c89d1e618a6"),
    "animatediff_lightning_2step_diffusers": (567, 453813440, 907626880, "a104a5d3ebc5eb90"),
    "animatediff_lightning_4step_comfyui": (588, 454417600, 908835200, "7bda5c89d1e618a6"),
    "animatediff_lightning_4step_diffusers": (567, 453813440, 907626880, "a104a5d3ebc5eb90"),
    "animatediff_lightning_8step_comfyui": (588, 454417600, 908835200, "7bda5c89d1e618a6"),
    "animatediff_lightning_8step_diffusers": (567, 453813440, 907626880, "a104a5d3ebc5eb90"),
    "temporaldiff_v1": (560, 417982400, 1671929600, "0c53decaf256dcdb"),
    "mm_Stabilized_mid": (560, 417982400, 1671929600, "0c53decaf256dcdb"),
    "mm_Stabilized_high": (560, 417982400, 1671929600, "0c53decaf256dcdb"),
    "mm-p_0.5": (588, 454417600, 1817670400, "78c77d213211172b"),
    "mm-p_0.75": (588, 454417600, 1817670400, "78c77d213211172b"),
    "lt_long_mm_32_frames": (588, 455625920, 1822503680, "6646e7882742f9a0"),
    "lt_long_mm_16_64_frames": (588, 458042560, 1832170240, "32f1b94ca20bdfbf"),
    "pia": (562, 418290240, 1673160960, "ca92ff64f29ab9d8"),
    "diffusers_motion_adapter_v1_4_v1_5": (540, 417560000, 1670240000, "670fe78963ee3bf3"),
    "diffusers_motion_adapter_v1_5_2": (567, 453813440, 1815253760, "f942adc172950504"),
    "diffusers_motion_adapter_v1_5_3": (540, 417700800, 1670803200, "43385f36efae9548"),
    "diffusers_motion_adapter_sdxl_beta": (405, 237137600, 948550400, "b862f82bd3538aa6"),
    "diffusers_AnimateLCM": (567, 453813440, 1815253760, "f942adc172950504"),
    "diffusers_PIA": (542, 417727040, 1670908160, "aec455744ecc2ac7"),
    "hellomeme_hm_animatediff_frame12_fp16": (540, 417700800, 835401600, "ff2f8350009acaba"),
    "CameraCtrl_pruned": (190, 218336640, 873346560, "6a2043f32f523a4a"),
    "FancyVideo_v1_known_subset": (595, 455265601, 1821062404, "5945ebd5556c7dc5"),
    "v2_lora_original": (336, 19333120, 77332480, "557f7220896416ac"),
    "v2_lora_diffusers": (336, 19333120, 77332480, "f9d7996f830af783"),
    "v2_lora_peft_equivalent": (336, 19333120, 77332480, "dbf8f24970746838"),
    "v2_lora_conrevo_fp16": (336, 19333120, 38666240, "3b27c02f71c6a2b4"),
    "v2_lora_conrevo_lora_v2_fp16": (336, 19333120, 38666240, "8b4bf2061b9b2134"),
    "motiondirector_temporal_r32": (400, 16896000, 67584000, "4cee7bf1f9df7e72"),
    "motiondirector_temporal_r64_v2": (420, 36249600, 144998400, "8fa412b80481d6fc"),
    "v3_sd15_adapter": (256, 25509888, 102039552, "111cd9259b44f4ae"),
    "v3_sd15_adapter_diffusers": (256, 25509888, 102039552, "9bb1583e744bae74"),
    "v3_sd15_adapter_conrevo_fp16": (256, 25509888, 51019776, "8082af8c3e1118c2"),
    "motiondirector_spatial_r32": (352, 12767232, 51068928, "cd61e9405baeb237"),
    "AnimateLCM_sd15_lora": (834, 67252502, 134505004, "20f562cc8658b982"),
    "v3_sd15_sparsectrl_rgb": (486, 496956160, 1987824640, "0db04ded06f03f2e"),
    "diffusers_sparsectrl_rgb": (486, 496956160, 1987824640, "e3d1a3b127a90c07"),
    "v3_sd15_sparsectrl_scribble": (500, 498028064, 1992112256, "7d227d85b3a55778"),
    "diffusers_sparsectrl_scribble": (500, 498028064, 1992112256, "1a12571147cdd295"),
    "conrevo_sparsectrl_rgb_fp16": (486, 496956160, 993912320, "6a3f5d66ed8d4e13"),
    "conrevo_sparsectrl_scribble_fp16": (500, 498028064, 996056128, "dd60f12906f97a1c"),
    "motionctrl_cmcm": (200, 95564800, 382259200, "4f0a16aad36e20a6"),
    "motionctrl_omcm": (38, 145997760, 583991040, "258602ad8eda156d"),
    "train_script_checkpoint_v3style_no_pe": (1206, 1276658564, 5106634256, "a6fd1d8d7e40539d"),
}


def test_there_are_61() -> None:
    assert len(FORMATS) == 61 and FORMATS.keys() == SIZES.keys()


@pytest.mark.parametrize("name", SIZES)
def test_patterns_equal_the_public_key_lists(name: str) -> None:
    item = FORMATS[name]
    shapes = item.shapes(FULL)
    dtype = str(item.dtype).removeprefix("torch.")
    lines = "\n".join(sorted(f"{key} {shape} {dtype}" for key, shape in shapes.items()))
    values = sum(torch.Size(shape).numel() for shape in shapes.values())
    digest = hashlib.sha256(lines.encode()).hexdigest()[:16]
    assert (len(shapes), values, values * item.dtype.itemsize, digest) == SIZES[name]


def of_file(name: str) -> ModelFile:
    """The full-size file as ``read_file`` gives it, without memory."""
    item = FORMATS[name]
    tensors = {key.removeprefix("module."): tensor for key, tensor in full(item).items()}
    return ModelFile(item.file, tensors, item.metadata)


@pytest.mark.parametrize("name", FORMATS)
def test_what_it_is(name: str) -> None:
    item, file = FORMATS[name], of_file(name)
    description = describe(file.shapes, file.metadata, file.name)
    assert (description.kind, description.family) == (item.kind, item.family)
    assert description.advice
    if item.family:
        assert FAMILIES[item.family].label in description.text


MODULES = [name for name, item in FORMATS.items() if item.kind == "motion module"]
LORAS = [name for name, item in FORMATS.items() if item.kind == "motion lora"]
OTHERS = [name for name in FORMATS if name not in MODULES + LORAS]


POSITIONS = {"v1": 24, "hotshot": 24, "lcm": 64, "i2v": 64, "long32": 64, "long64": 128}
"""Frames at once; 32 for the other families, and for diffusers' AnimateLCM, which stores a shorter table."""


@pytest.mark.parametrize("name", MODULES)
def test_full_size_module_loads_strictly(name: str) -> None:
    file = of_file(name)
    found = read_motion_module(file)
    config, state = found.config, found.motion
    network = MotionModel(config, device="meta")
    network.load_state_dict(state, strict=True, assign=True)
    sdxl = FAMILIES[FORMATS[name].family].base == "SDXL"
    assert config.down_channels == (FULL.sdxl if sdxl else FULL.sd15)
    assert len(network.sites()) == (15 if sdxl else 21 if config.has_mid else 20)
    rows = {tensor.shape[1] for key, tensor in state.items() if key.endswith(".pe")}
    assert rows == {config.positions} == {32 if name == "diffusers_AnimateLCM" else POSITIONS.get(config.family, 32)}
    assert FAMILIES[config.family].label in describe_motion_module(file.name, config, state)


@pytest.mark.parametrize("name", MODULES)
@torch.inference_mode()
def test_small_module_loads_and_runs(name: str, tmp_path: Path) -> None:
    item = FORMATS[name]
    file = read_file(write(item, tmp_path))
    found = read_motion_module(file)
    config, state = found.config, found.motion
    assert config.family == item.family
    wanted = {original: tensor for key, tensor in small(item).items() for original in original_keys(key)}
    assert all(torch.equal(state[key], tensor) for key, tensor in wanted.items())
    network = MotionModel(config, device="meta")
    network.load_state_dict({key: tensor.float() for key, tensor in state.items()}, strict=True, assign=True)
    for block in network.sites().values():
        x = torch.randn(16, block.channels, 2, 2, generator=torch.Generator().manual_seed(0))
        out = block(x, 16)
        assert torch.isfinite(out).all() and not torch.allclose(out, x)


@pytest.mark.parametrize("name", LORAS)
def test_motion_lora_fits_its_module(name: str, tmp_path: Path) -> None:
    mid = name != "motiondirector_temporal_r32"
    modules = module(FULL.sd15, mid, 32)
    lora = read_motion_lora(of_file(name))
    assert len(match_motion_lora(lora, modules)) == len(lora.parameters) == len(FORMATS[name].shapes(FULL)) // 2
    assert len(read_motion_lora(read_file(write(FORMATS[name], tmp_path))).parameters) == len(lora.parameters)


@pytest.mark.parametrize("name", OTHERS)
def test_in_the_wrong_slot_it_says_what_it_is_and_where_it_goes(name: str, tmp_path: Path) -> None:
    file = read_file(write(FORMATS[name], tmp_path))
    description = describe(file.shapes, file.metadata, file.name)
    for read, needed in ((read_motion_module, "a motion module"), (read_motion_lora, "a motion LoRA")):
        with pytest.raises(ValueError) as caught:
            read(file)
        assert str(caught.value) == f"Needed {needed}, but {file.name} is {description.text}. {description.advice}."


@pytest.mark.parametrize("name", MODULES)
def test_a_module_in_the_lora_slot(name: str) -> None:
    with pytest.raises(ValueError, match="Needed a motion LoRA, but .* is a motion module for SD.*Load Motion Module"):
        read_motion_lora(of_file(name))


@pytest.mark.parametrize("name", LORAS)
def test_a_lora_in_the_module_slot(name: str) -> None:
    with pytest.raises(ValueError, match="Needed a motion module, but .* is a motion LoRA.*Apply Motion LoRA"):
        read_motion_module(of_file(name))
