"""Motion LoRAs and domain adapters on the real host: what they change, in every spelling, and how they add up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.model_management
import pytest
import torch
from animatediff_native.demo import synthetic
from animatediff_native.sampling.modules.domain_adapter import with_domain_adapter
from animatediff_native.sampling.modules.load import load_motion_module
from animatediff_native.sampling.modules.motion_lora import with_motion_lora
from animatediff_native.sampling.modules.settings import settings_of
from animatediff_native.sampling.run.animate import animate
from animatediff_tests.spellings import SPELLINGS, spelled
from animatediff_tests.tiny import CHANNELS, motion_file, run_ksampler
from safetensors.torch import save_file
from torch import Tensor

STRENGTH = -0.7


def distance(a: Tensor, b: Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


def parameter_of(key: str) -> str:
    """Weight that an ``.up.`` tensor of the original spelling changes."""
    return key.replace("processor.", "").replace("_lora.up", "").replace("to_out.", "to_out.0.")


def merged(state: dict[str, Tensor], lora: dict[str, Tensor], strength: float) -> dict[str, Tensor]:
    """``W + strength * up @ down`` for every pair of a LoRA in the original spelling, in float64."""
    state = dict(state)
    for key, up in lora.items():
        if ".up." in key:
            change = up.double() @ lora[key.replace(".up.", ".down.")].double()
            state[parameter_of(key)] = (state[parameter_of(key)].double() + strength * change).float()
    return state


def alpha_of(tensors: dict[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """An alpha beside every pair, for the spellings that have one."""
    return {f"{key.removesuffix('.lora_up.weight')}.alpha": torch.tensor(alpha) for key in tensors if key.endswith(".lora_up.weight")}


@pytest.fixture(autouse=True)
def nothing_loaded() -> None:
    """Tests that load weights by hand need a model that no earlier test left loaded."""
    comfy.model_management.unload_all_models()


@pytest.fixture(scope="module")
def module_state() -> dict[str, Tensor]:
    return synthetic.motion_module(channels=CHANNELS, mid=True, positions=32, seed=1)


@pytest.fixture(scope="module")
def lora() -> dict[str, Tensor]:
    return synthetic.motion_lora(channels=CHANNELS, mid=True, rank=4, seed=4)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory, module_state: Any, lora: Any) -> Any:
    """The module with the LoRA merged by hand, at full and at half strength."""
    folder = tmp_path_factory.mktemp("merged")
    paths = []
    with torch.inference_mode():
        for strength in (STRENGTH, STRENGTH / 2):
            path = folder / f"{strength}.safetensors"
            save_file(merged(module_state, lora, strength), path)
            paths.append(path)
    return paths


def write(folder: Path, tensors: dict[str, Tensor], spelling: str, metadata: Any = None) -> Path:
    path = folder / f"{spelling}.{'ckpt' if spelling == 'original' else 'safetensors'}"
    torch.save(tensors, path) if path.suffix == ".ckpt" else save_file(tensors, path, metadata)
    return path


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_equals_merged_weights(model, motion, lora, wanted, spelling: str, tmp_path: Path) -> None:
    changed = with_motion_lora(motion, write(tmp_path, spelled(lora, spelling), spelling), STRENGTH)
    clip = run_ksampler(animate(model, changed))
    assert distance(clip, run_ksampler(animate(model, load_motion_module(wanted[0])))) < 1e-5
    assert distance(clip, run_ksampler(animate(model, motion))) > 1e-3
    assert settings_of(changed).loras == (f"{spelling}.{'ckpt' if spelling == 'original' else 'safetensors'} at -0.7: 168 of 168 keys matched",)


@pytest.mark.parametrize(("spelling", "where"), [("conrevo", "keys"), ("conrevo", "metadata"), ("peft", "metadata")])
def test_alpha(model, motion, lora, wanted, spelling: str, where: str, tmp_path: Path) -> None:
    """Alpha 2 at rank 4 halves the change, wherever it is written."""
    tensors = spelled(lora, spelling)
    if where == "keys":
        path = write(tmp_path, {**tensors, **alpha_of(tensors, 2.0)}, spelling)
    else:
        path = write(tmp_path, tensors, spelling, {"lora_adapter_metadata": '{"unet.lora_alpha": 2, "unet.r": 4}'})
    clip = run_ksampler(animate(model, with_motion_lora(motion, path, STRENGTH)))
    assert distance(clip, run_ksampler(animate(model, load_motion_module(wanted[1])))) < 1e-5


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_offloaded_weights_take_the_lora_as_well(motion, lora, wanted, spelling: str, tmp_path: Path) -> None:
    """Weights that do not fit the device are changed when they are used, and equal merged ones."""
    changed = with_motion_lora(motion, write(tmp_path, spelled(lora, spelling), spelling), STRENGTH)
    device = comfy.model_management.get_torch_device()
    changed.patch_model(device_to=device, lowvram_model_memory=20_000, load_weights=True)
    later = [m for m in changed.model.modules() if getattr(m, "weight_function", None)]
    assert changed.model.model_lowvram and len(later) > 100
    block = changed.model.sites()["middle", 0]
    x = torch.randn(16, 128, 3, 3, generator=torch.Generator().manual_seed(0))
    out = block(x, 16)
    changed.detach()
    assert distance(out, load_motion_module(wanted[0]).model.sites()["middle", 0](x, 16)) < 1e-5
    assert distance(out, motion.model.sites()["middle", 0](x, 16)) > 1e-3


def test_feed_forward_weights_of_motion_director(motion, tmp_path: Path) -> None:
    place = "mid_block.motion_modules.0.temporal_transformer.transformer_blocks.0"
    tensors = {
        f"{place}.ff.net.0.processor.proj_lora.up.weight": torch.randn(1024, 4),
        f"{place}.ff.net.0.processor.proj_lora.down.weight": torch.randn(4, 128),
        f"{place}.ff.net.processor.2_lora.up.weight": torch.randn(128, 4),
        f"{place}.ff.net.processor.2_lora.down.weight": torch.randn(4, 512),
    }
    path = tmp_path / "motion_director_temporal.safetensors"
    save_file(tensors, path, {"model_type": "motion_director", "rank": "4"})
    changed = with_motion_lora(motion, path, 0.5)
    before = {key: t.clone() for key, t in motion.model.state_dict().items()}
    changed.patch_model(load_weights=True)
    for weight, stem in (("ff.net.0.proj", "ff.net.0.processor.proj"), ("ff.net.2", "ff.net.processor.2")):
        change = tensors[f"{place}.{stem}_lora.up.weight"] @ tensors[f"{place}.{stem}_lora.down.weight"]
        got = changed.model.get_parameter(f"{place}.{weight}.weight")
        assert distance(got, before[f"{place}.{weight}.weight"] + 0.5 * change) < 1e-5
    changed.unpatch_model()
    assert all(torch.equal(t, before[key]) for key, t in motion.model.state_dict().items())


def test_two_motion_loras_add_in_any_order(model, motion, lora, tmp_path: Path) -> None:
    a = write(tmp_path, lora, "original")
    b = write(tmp_path, spelled(synthetic.motion_lora(channels=CHANNELS, mid=True, rank=8, seed=5), "peft"), "peft")
    one = with_motion_lora(with_motion_lora(motion, a, 1.0), b, 0.5)
    two = with_motion_lora(with_motion_lora(motion, b, 0.5), a, 1.0)
    assert distance(run_ksampler(animate(model, one)), run_ksampler(animate(model, two))) < 1e-5
    assert len(settings_of(one).loras) == len(settings_of(two).loras) == 2 and not settings_of(motion).loras


def test_weights_stay_low_rank_until_used(motion, lora, tmp_path: Path) -> None:
    changed = with_motion_lora(motion, write(tmp_path, lora, "original"), 1.0)
    held = sum(t.numel() for patches in changed.patches.values() for p in patches for t in p[1].weights if isinstance(t, Tensor))
    assert held == sum(t.numel() for t in lora.values())


def test_a_v2_lora_on_a_v3_module_says_what_it_leaves_out(other_motion, lora, tmp_path: Path) -> None:
    changed = with_motion_lora(other_motion, write(tmp_path, lora, "original"), 1.0)
    assert settings_of(changed).loras[0].endswith("160 of 168 keys matched")


# --- domain adapters -------------------------------------------------------------------------------------------------


def adapter(model: Any, spelling: str) -> dict[str, Tensor]:
    """A domain adapter, or MotionDirector's spatial half, for the tiny UNet."""
    import comfy.utils

    names = comfy.utils.unet_to_diffusers(model.model.model_config.unet_config)
    weights, generator, tensors = model.model.state_dict(), torch.Generator().manual_seed(7), {}
    for name, key in names.items():
        path = name.removesuffix(".weight")
        if ".attentions." not in name or not name.endswith(".weight"):
            continue
        attention = path.endswith((".to_q", ".to_k", ".to_v", ".to_out.0"))
        if not attention and (spelling == "domain adapter" or not path.endswith((".proj_in", ".net.2"))):
            continue
        weight = weights[f"diffusion_model.{key}"]
        stem = path.removesuffix(".0").replace(".to_", ".processor.to_") if attention else path
        rest = (1,) * (weight.ndim - 2)
        tensors[f"{stem}_lora.up.weight"] = torch.randn(weight.shape[0], 4, *rest, generator=generator) * 0.1
        tensors[f"{stem}_lora.down.weight"] = torch.randn(4, *weight.shape[1:], generator=generator) * 0.1
    return tensors


@pytest.mark.parametrize(("spelling", "pairs"), [("domain adapter", 128), ("spatial lora", 160)])
def test_adapter_equals_merged_weights(model, motion, spelling: str, pairs: int, tmp_path: Path) -> None:
    import comfy.utils

    tensors = adapter(model, spelling)
    torch.save(tensors, tmp_path / "v3_sd15_adapter.ckpt")
    adapted, note = with_domain_adapter(model, tmp_path / "v3_sd15_adapter.ckpt", 0.6)
    assert note == f"v3_sd15_adapter.ckpt at 0.6: {pairs} of {pairs} keys matched"
    names = comfy.utils.unet_to_diffusers(model.model.model_config.unet_config)
    before = {key: t.clone() for key, t in model.model.state_dict().items()}
    adapted.patch_model(load_weights=True)
    for key, up in tensors.items():
        if ".up." in key:
            path = key.replace(".processor.", ".").replace("_lora.up", "").replace(".to_out.", ".to_out.0.")
            weight = f"diffusion_model.{names[path]}"
            change = (up.flatten(1) @ tensors[key.replace(".up.", ".down.")].flatten(1)).reshape(before[weight].shape)
            assert distance(adapted.model.state_dict()[weight], before[weight] + 0.6 * change) < 1e-5, path
    adapted.unpatch_model()
    assert all(torch.equal(t, before[key]) for key, t in model.model.state_dict().items())
    assert distance(run_ksampler(animate(adapted, motion)), run_ksampler(animate(model, motion))) > 1e-3


def test_adapter_bad_input(model, lora, tmp_path: Path) -> None:
    torch.save(lora, tmp_path / "pan.ckpt")
    with pytest.raises(ValueError, match=r"Needed a domain adapter.*pan\.ckpt is a motion LoRA\. Put it into models/anim"):
        with_domain_adapter(model, tmp_path / "pan.ckpt", 1.0)
    key = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora"
    torch.save({f"{key}.up.weight": torch.zeros(320, 4), f"{key}.down.weight": torch.zeros(4, 320)}, tmp_path / "big.ckpt")
    with pytest.raises(ValueError, match=r"big\.ckpt was trained for another base than this MODEL \(SD15\): first: .*320x320"):
        with_domain_adapter(model, tmp_path / "big.ckpt", 1.0)
    key = "down_blocks.7.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora"
    torch.save({f"{key}.up.weight": torch.zeros(32, 4), f"{key}.down.weight": torch.zeros(4, 32)}, tmp_path / "far.ckpt")
    with pytest.raises(ValueError, match=r"far\.ckpt was trained for another base.*only 0 of 1 keys match"):
        with_domain_adapter(model, tmp_path / "far.ckpt", 1.0)


def test_adapter_in_a_tainted_container(model, tmp_path: Path) -> None:
    """The re-upload of December 2023, in which the authors left an omegaconf object."""
    from animatediff_tests.tainted import save_with_config

    path = save_with_config(adapter(model, "domain adapter"), tmp_path / "v3_sd15_adapter.ckpt")
    assert with_domain_adapter(model, path, 1.0)[1].endswith("128 of 128 keys matched")


def test_motion_file_in_the_adapter_slot(model, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a motion module for SD1.5"):
        with_domain_adapter(model, motion_file(tmp_path, "v2"), 1.0)
