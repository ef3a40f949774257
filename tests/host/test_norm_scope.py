"""Norms that see all frames: on the real host, in every way that a step can be split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.hooks
import comfy.model_management
import pytest
import torch
from animatediff_native.demo import synthetic
from animatediff_native.motion.config import NormScope, Overrides
from animatediff_native.sampling.frames import CALL
from animatediff_native.sampling.modules.choices import NORM_SCOPES
from animatediff_native.sampling.modules.load import load_motion_module
from animatediff_native.sampling.modules.settings import config_of, with_settings
from animatediff_native.sampling.run.animate import animate
from animatediff_native.sampling.run.layers import find_norms
from animatediff_native.sampling.run.norms import pooled_norms
from animatediff_native.sampling.windows.options import WindowOptions
from animatediff_tests.tiny import CHANNELS, conditioning, motion_file, run_ksampler
from torch import nn

import nodes as host_nodes


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


@pytest.fixture(scope="session")
def v1_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("v1") / "mm_sd_v15.ckpt"
    torch.save(synthetic.motion_module(channels=CHANNELS, mid=False, positions=24, seed=3), path)
    return path


@pytest.fixture(scope="session")
def v1(v1_file: Path) -> Any:
    return load_motion_module(v1_file)


def hooks_left(model: Any) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.model.diffusion_model.modules())


@pytest.mark.parametrize(("scope", "norms"), [(NormScope.UNET, 2 * 22 + 1), (NormScope.ALL_UNET, 2 * 22 + 1 + 16)])
def test_which_norms(model, scope: NormScope, norms: int) -> None:
    """22 residual blocks and the output in an SD1.5 UNet; 16 spatial transformers with a norm of their own."""
    found = find_norms(model.model.diffusion_model, scope)
    assert len(found) == len(set(map(id, found))) == norms
    assert all(isinstance(norm, nn.GroupNorm) for norm in found)


def test_statistics_are_those_of_the_whole_clip(model) -> None:
    norm = find_norms(model.model.diffusion_model, NormScope.UNET)[0]
    x = torch.randn(32, 32, 4, 4) * torch.linspace(0.1, 3, 32)[:, None, None, None]
    with pooled_norms(model.model.diffusion_model, NormScope.UNET, 16):
        out = norm(x)
    clips = x.reshape(2, 16, 32, 4, 4).transpose(1, 2).reshape(2, 32, -1)
    wanted = nn.functional.group_norm(clips, 32, norm.weight, norm.bias, norm.eps).reshape(2, 32, 16, 4, 4).transpose(1, 2)
    assert torch.allclose(out, wanted.reshape(x.shape), atol=1e-5)
    assert distance(norm(x), out) > 0.1 and hooks_left(model) == 0


def test_overrides_choose_the_scope(model, v1, v1_file: Path) -> None:
    clips = {
        name: run_ksampler(animate(model, load_motion_module(v1_file, Overrides(norm_scope=name)))) for name in NORM_SCOPES
    }
    assert torch.equal(clips["authors"], run_ksampler(animate(model, v1)))
    assert distance(clips["per_frame"], clips["authors"]) > 1e-3
    assert distance(clips["legacy"], clips["authors"]) > 1e-3 < distance(clips["legacy"], clips["per_frame"])
    assert torch.equal(clips["legacy"], clips["all"]) and torch.equal(clips["legacy_v2"], clips["all"]), "of a v1 file"
    assert hooks_left(model) == 0


def every_norm_pools(monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    """What AnimateDiff-Evolved does to torch for the time of a UNet call: whoever owns a group norm, it sees all frames."""
    group_norm = nn.functional.group_norm

    def pooled(x: torch.Tensor, *rest: Any) -> torch.Tensor:
        return group_norm(x.unflatten(0, (-1, frames)).transpose(1, 2), *rest).transpose(1, 2).flatten(0, 1)

    monkeypatch.setattr(nn.functional, "group_norm", pooled)


def test_legacy_pools_every_norm_the_motion_modules_too(model, v1_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    per_frame, legacy = (load_motion_module(v1_file, Overrides(norm_scope=name)) for name in ("per_frame", "legacy"))
    clip, still = run_ksampler(animate(model, legacy)), run_ksampler(animate(model, per_frame))
    every_norm_pools(monkeypatch, frames=16)
    wanted = run_ksampler(animate(model, per_frame))
    assert distance(clip, wanted) < 1e-6 and distance(still, wanted) > 0.01


@pytest.mark.parametrize(
    ("version", "pooled"),
    [("v1", "legacy"), ("pia", "legacy"), ("v2", "legacy_v2"), ("lcm", "legacy_v2"), ("long64", "legacy_v2"), ("v3", "")],
)
def test_legacy_goes_by_the_layout_of_the_file(version: str, pooled: str, tmp_path: Path) -> None:
    """As AnimateDiff-Evolved tells files apart: a middle is v2, 32 positions without one are v3, all else is like v1."""
    path = motion_file(tmp_path, version)
    scopes = [config_of(load_motion_module(path, Overrides(norm_scope=name))).norm_scope for name in ("legacy", "legacy_v2")]
    first = {"legacy": 0, "legacy_v2": 1, "": 2}[pooled]
    assert scopes == [NormScope.PER_FRAME] * first + [NormScope.ALL] * (2 - first)


@pytest.mark.parametrize("version", ["sdxl", "hotshot"])
def test_legacy_pools_every_norm_on_sdxl(version: str, tmp_path: Path) -> None:
    module = load_motion_module(motion_file(tmp_path, version), Overrides(norm_scope="legacy"))
    assert config_of(module).norm_scope == NormScope.ALL and module.model.sites()["input", 1].pooled_norm


def test_several_modules_pool_what_any_of_them_needs(model, motion, v1, v1_file: Path) -> None:
    """Of the UNet's norms; each module pools its own by itself. While a module is out of its steps, it needs none."""
    legacy = load_motion_module(v1_file, Overrides(norm_scope="legacy"))
    seen: list[int] = []

    def hooks(*modules: Any) -> int:
        animated = model
        for module in modules:
            animated = animate(animated, module)
        animated.set_model_output_block_patch(lambda h, hsp, _: (seen.append(hooks_left(model)), (h, hsp))[1])
        run_ksampler(animated, frames=2, steps=1)
        return seen[-1]

    assert hooks(motion, v1) == hooks(v1) == 2 * 45
    assert hooks(motion, legacy) == hooks(v1, legacy) == 2 * 61
    assert hooks(motion, with_settings(legacy, influence=0.0)) == 0


def test_conds_that_run_apart_give_the_same_clip(model, v1, monkeypatch: pytest.MonkeyPatch) -> None:
    together = run_ksampler(animate(model, v1))
    monkeypatch.setattr(type(model), "get_free_memory", lambda *_: 0)  # no room for cond and uncond at once
    sizes = []
    apart = animate(model, v1)
    apart.set_model_unet_function_wrapper(lambda f, a: (sizes.append(a["input"].shape[0]), f(a["input"], a["timestep"], **a["c"]))[1])
    assert distance(run_ksampler(apart), together) < 1e-5
    assert set(sizes) == {16}


def test_conds_with_hooks_give_the_same_clip(model, v1) -> None:
    """A weight hook of strength 0 on one of the conds splits the batch and changes nothing else."""
    animated = animate(model, v1)
    positive, negative = conditioning(1), conditioning(2)
    key = "diffusion_model.input_blocks.1.0.in_layers.2.weight"
    change = (torch.ones_like(model.model.state_dict()[key]),)
    group = comfy.hooks.create_hook_lora({}, 0.0, 0.0)
    for hook in group.hooks:
        hook.weights, hook.need_weight_init = {key: ("diff", change)}, False
    positive = comfy.hooks.set_hooks_for_conditioning(positive, group)
    latent = {"samples": torch.zeros(16, 4, 8, 8)}
    clip = host_nodes.common_ksampler(animated, 1, 2, 3.0, "euler", "normal", positive, negative, latent)[0]["samples"]
    assert distance(clip, run_ksampler(animate(model, v1))) < 1e-5
    assert hooks_left(model) == 0


def test_two_clones_with_and_without(model, v1, motion) -> None:
    pooled, per_frame = animate(model, v1), animate(model, motion)
    clips = run_ksampler(pooled), run_ksampler(per_frame)
    assert torch.equal(run_ksampler(pooled), clips[0]) and torch.equal(run_ksampler(per_frame), clips[1])
    assert torch.equal(run_ksampler(pooled.clone()), clips[0])


class Stop(Exception):
    pass


def test_no_hook_is_left_by_an_exception_inside_a_step(model, v1) -> None:
    wanted = run_ksampler(animate(model, v1))
    broken = animate(model, v1)

    def stop(_h: torch.Tensor, _hsp: torch.Tensor, _options: Any) -> Any:
        assert hooks_left(model) == 2 * (2 * 22 + 1)
        raise Stop

    broken.set_model_output_block_patch(stop)
    with pytest.raises(Stop):
        run_ksampler(broken)
    assert hooks_left(model) == 0
    assert torch.equal(run_ksampler(animate(model, v1)), wanted)


def test_windows_pool_their_own_frames(model, v1) -> None:
    """Windows that do not overlap are clips of their own."""
    windows = WindowOptions(16, 0, freenoise=False)
    seen = []
    animated = animate(model, v1, windows)
    animated.set_model_unet_function_wrapper(
        lambda f, a: (seen.append(a["c"]["transformer_options"][CALL].frames), f(a["input"], a["timestep"], **a["c"]))[1]
    )
    run_ksampler(animated, frames=32, steps=1)
    assert seen == [16, 16]


def test_offloaded_weights_give_the_same_clip(model, v1) -> None:
    wanted = run_ksampler(animate(model, v1))
    clone = animate(model.clone(), v1)
    device = comfy.model_management.get_torch_device()
    clone.patch_model(device_to=device, lowvram_model_memory=200_000, load_weights=True)
    assert clone.model.model_lowvram
    clip = run_ksampler(clone)
    clone.detach()
    assert distance(clip, wanted) < 1e-5


def test_torch_compile(model, v1) -> None:
    """Plain, animated and plain again in one process: no graph is used for another."""
    from animatediff_tests.host.test_together import compiled

    torch._dynamo.reset()
    wanted, plain = run_ksampler(animate(model, v1)), run_ksampler(model)
    assert distance(run_ksampler(compiled(model)), plain) < 1e-5
    assert distance(run_ksampler(compiled(animate(model, v1))), wanted) < 1e-5
    assert distance(run_ksampler(compiled(model)), plain) < 1e-5

