"""SparseCtrl in the host: images on their frames in every window, beside other controls, encoded once, unloaded on demand."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import comfy.controlnet
import comfy.memory_management
import comfy.model_management
import pytest
import torch
from animatediff_native.demo.tiny_sparse_control import sparse_control
from animatediff_native.nodes.sparse_control import SparseCtrlApply
from animatediff_native.sampling.controls import sparse_network
from animatediff_native.sampling.controls.placement import SparseSettings, describe_placement, placed
from animatediff_native.sampling.controls.sparse import SparseControl, check_controls, load_sparse_control
from animatediff_native.sampling.run.animate import animate
from animatediff_native.sampling.timeline.curve import make_curve
from animatediff_native.sampling.windows.options import WindowOptions
from animatediff_tests.recorder import controlled
from animatediff_tests.tiny import conditioning, run_ksampler
from comfy_extras.nodes_context_windows import ContextWindowsManualNode
from safetensors.torch import save_file
from torch import Tensor

import nodes as host_nodes

KINDS = ("rgb", "scribble")
FADE = "0: 1.0, -1: 0.2"


class Encoder:
    """A VAE that averages 8 x 8 pixels, and counts."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def spacial_compression_encode(self) -> int:
        return 8

    def encode(self, pixels: Tensor) -> Tensor:
        self.calls.append(pixels.shape[0])
        small = torch.nn.functional.avg_pool2d(pixels.movedim(-1, 1), 8)
        return torch.cat([small, small[:, :1]], 1)


@pytest.fixture(scope="session")
def controls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SparseControl]:
    """One SparseCtrl model of each kind, from a file."""
    folder = tmp_path_factory.mktemp("sparse")
    for kind in KINDS:
        save_file(sparse_control(kind), folder / f"{kind}.safetensors")
    with torch.inference_mode():
        return {kind: load_sparse_control(folder / f"{kind}.safetensors") for kind in KINDS}


def pictures(count: int) -> Tensor:
    return torch.rand(count, 64, 64, 3, generator=torch.Generator().manual_seed(2))


def apply(control: Any, images: Tensor, vae: Any = None, strength: float = 1.0, **choices: Any) -> tuple[Any, Any]:
    """Positive and negative with SparseCtrl, by the node."""
    result = SparseCtrlApply.execute(
        conditioning(1), conditioning(2), control, images, strength, vae or Encoder(), **{"placement": "spread", "frames": "0", **choices}
    )
    return result.result


def clip(model: Any, conds: tuple[Any, Any], frames: int = 16, steps: int = 2, cfg: float = 3.0) -> Tensor:
    latent = {"samples": torch.zeros(frames, 4, 8, 8)}
    return host_nodes.common_ksampler(model, 1, steps, cfg, "euler", "normal", *conds, latent)[0]["samples"]


def watch(control: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[int], int]]:
    """Per call of the network: which local frames have a hint, and how many frames there are per cond."""
    calls: list[tuple[list[int], int]] = []
    network = control.control_model
    forward = network.forward

    def note(x: Tensor, hint: Tensor, *args: Any, frames: int, **kw: Any) -> Any:
        given = hint[:, -1].flatten(1)
        assert ((given == 0).all(1) | (given == 1).all(1)).all(), "the mask covers whole frames"
        first = [position for position in range(frames) if given[position, 0] == 1]
        assert all(given[position + frames, 0] == given[position, 0] for position in range(len(given) - frames))
        calls.append((first, frames))
        return forward(x, hint, *args, frames=frames, **kw)

    monkeypatch.setattr(network, "forward", note)
    return calls


# --- where images go -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "images", "frames", "wanted"),
    [
        (SparseSettings("spread"), 1, 16, {0: 0}),
        (SparseSettings("spread"), 2, 16, {0: 0, 15: 1}),
        (SparseSettings("spread"), 4, 16, {0: 0, 5: 1, 10: 2, 15: 3}),
        (SparseSettings("spread"), 16, 16, {frame: frame for frame in range(16)}),
        (SparseSettings("first"), 3, 16, {0: 0, 1: 1, 2: 2}),
        (SparseSettings("first and last"), 2, 16, {0: 0, 15: 1}),
        (SparseSettings("first and last"), 1, 16, {0: 0, 15: 0}),
        (SparseSettings("indexes", "0, 50%, -1"), 3, 17, {0: 0, 8: 1, 16: 2}),
        (SparseSettings("indexes", "4, 2"), 2, 16, {4: 0, 2: 1}),
        (SparseSettings("indexes", "3 4 5"), 1, 16, {3: 0, 4: 0, 5: 0}),
        (SparseSettings("spread"), 3, 16, {0: 0, 7: 1, 15: 2}),
        (SparseSettings("spread from start"), 1, 16, {0: 0}),
        (SparseSettings("spread from start"), 3, 16, {0: 0, 5: 1, 10: 2}),
        (SparseSettings("spread to end"), 1, 16, {15: 0}),
        (SparseSettings("spread to end"), 3, 16, {5: 0, 10: 1, 15: 2}),
        (SparseSettings("spread between"), 1, 16, {7: 0}),
        (SparseSettings("spread between"), 3, 16, {3: 0, 7: 1, 11: 2}),
        (SparseSettings("spread between"), 4, 6, {0: 0, 1: 1, 2: 2, 3: 3}),
        (SparseSettings("spread between"), 16, 16, {frame: frame for frame in range(16)}),
        (SparseSettings("indexes in turn", "0, 8, -1"), 2, 16, {0: 0, 8: 1}),
        (SparseSettings("indexes in turn", "-1, 0"), 1, 16, {15: 0}),
        (SparseSettings("mask", hint_mask=torch.eye(16)[:, :, None][:, 3:5]), 2, 16, {3: 0, 4: 1}),
    ],
)
def test_places(settings: SparseSettings, images: int, frames: int, wanted: dict[int, int]) -> None:
    assert placed(settings, images, frames) == wanted


@pytest.mark.parametrize(
    ("settings", "images", "frames", "message"),
    [
        (SparseSettings(), 17, 16, "17 images for an animation of 16 frames"),
        (SparseSettings("first and last"), 3, 16, "First and last need 1 or 2 images; got 3"),
        (SparseSettings("indexes", "0, 20"), 2, 16, "Frame 20 is outside this animation of 16 frames"),
        (SparseSettings("indexes", "0, 1, 2"), 2, 16, r"2 images for 3 frames \(indexes\)"),
        (SparseSettings("indexes in turn", "0, 1"), 3, 16, r"3 images for 2 frames \(indexes in turn\). Name one frame per image"),
        (SparseSettings("mask"), 1, 16, "needs a hint_mask"),
        (SparseSettings("mask", hint_mask=torch.ones(12, 8, 8)), 1, 16, "hint_mask has 12 masks, the animation 16 frames"),
        (SparseSettings("mask", hint_mask=torch.zeros(16, 8, 8)), 1, 16, "hint_mask is empty in all 16 frames"),
    ],
)
def test_places_that_do_not_fit(settings: SparseSettings, images: int, frames: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        placed(settings, images, frames)


def test_the_timeline() -> None:
    text = describe_placement({0: 0, 15: 1}, 16)
    assert text.splitlines() == ["16 frames: 1--------------2", "image 1 at frame 0, image 2 at frame 15"]


def test_the_node_shows_the_timeline(controls) -> None:
    given = (conditioning(1), conditioning(2), controls["rgb"], pictures(2), 1.0, Encoder())
    choices = {"placement": "first and last", "frames": "0"}
    shown = SparseCtrlApply.execute(*given, **choices, latent={"samples": torch.zeros(5, 4, 8, 8)}).ui
    assert "5 frames: 1---2" in str(shown.as_dict())
    assert "connect the latent" in str(SparseCtrlApply.execute(*given, **choices).ui.as_dict())


# --- in clips and windows --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("whose", ["ours", "the host's"])
def test_images_keep_their_frames_in_windows(model, other_motion, controls, kind: str, whose: str, monkeypatch) -> None:
    """Images at 0, 15 and 30 of 40 frames, windows from 0, 12 and 24."""
    animated = animate(model, other_motion)
    if whose == "ours":
        animated = animate(model, other_motion, WindowOptions(16, 4, freenoise=False))
    else:
        choices = {"context_schedule": "standard_static", "context_stride": 1, "closed_loop": False, "fuse_method": "pyramid"}
        animated = ContextWindowsManualNode.execute(animated, 16, 4, **choices, dim=0, freenoise=False).result[0]
    calls = watch(controls[kind], monkeypatch)
    clip(animated, apply(controls[kind], pictures(3), placement="indexes", frames="0, 15, 30"), frames=40, steps=1)
    assert calls == [([0, 15], 16), ([3], 16), ([6], 16)]


def test_the_hosts_windows_on_a_model_without_motion(model, controls, monkeypatch) -> None:
    """Its causal frame comes along: windows of 17."""
    choices = {"context_schedule": "standard_static", "context_stride": 1, "closed_loop": False, "fuse_method": "pyramid"}
    windowed = ContextWindowsManualNode.execute(model, 16, 4, **choices, dim=0, freenoise=False).result[0]
    calls = watch(controls["rgb"], monkeypatch)
    clip(windowed, apply(controls["rgb"], pictures(3), placement="indexes", frames="0, 15, 30"), frames=40, steps=1)
    assert calls == [([0, 15], 16), ([4], 17), ([7], 17)]


def test_a_window_without_an_image_may_use_the_nearest(model, other_motion, controls, monkeypatch) -> None:
    animated = animate(model, other_motion, WindowOptions(16, 4, freenoise=False))
    calls = watch(controls["rgb"], monkeypatch)
    for nearest, wanted in ((False, [[0], [], []]), (True, [[0], [0], [0]])):
        calls.clear()
        clip(animated, apply(controls["rgb"], pictures(1), nearest=nearest), frames=40, steps=1)
        assert [hinted for hinted, _ in calls] == wanted


def test_more_frames_than_positions(model, motion, other_motion, controls, monkeypatch) -> None:
    conds = apply(controls["rgb"], pictures(2))
    with pytest.raises(ValueError, match="at most 32 frames at once"):
        clip(model, conds, frames=40)
    calls = watch(controls["rgb"], monkeypatch)
    views = animate(model, other_motion, WindowOptions(16, 4, freenoise=False, views=True))
    assert torch.isfinite(clip(views, conds, frames=40, steps=1)).all()
    assert calls == [([0, 39], 40)], "views: the whole clip, once"


@pytest.mark.parametrize("kind", KINDS)
def test_it_acts(model, other_motion, controls, kind: str) -> None:
    animated = animate(model, other_motion)
    with_it = clip(animated, apply(controls[kind], pictures(2)))
    without = clip(animated, (conditioning(1), conditioning(2)))
    assert (with_it - without).norm() / without.norm() > 1e-3
    assert not torch.equal(clip(animated, apply(controls[kind], 1 - pictures(2))), with_it)


@pytest.mark.parametrize("kind", KINDS)
def test_strength_zero_is_nothing(model, other_motion, controls, kind: str) -> None:
    """Also when the zero comes from a mask, or a range that no step is in: bit for bit."""
    animated = animate(model, other_motion)
    without = clip(animated, (conditioning(1), conditioning(2)))
    assert torch.equal(clip(animated, apply(controls[kind], pictures(2), strength=0.0)), without)
    assert torch.equal(clip(animated, apply(controls[kind], pictures(2), strength_mask=torch.zeros(1, 8, 8))), without)
    late = apply(controls[kind], pictures(2), start_percent=1.0)
    assert torch.equal(clip(animated, late), without)


def test_a_step_range(model, other_motion, controls, monkeypatch) -> None:
    calls = watch(controls["rgb"], monkeypatch)
    clip(animate(model, other_motion), apply(controls["rgb"], pictures(1), end_percent=0.5), steps=4)
    assert 0 < len(calls) < 4


def test_strength_per_frame(model, other_motion, controls) -> None:
    """What it adds, seen where the host merges it: the mask's share per frame, and unhinted frames times theirs."""
    seen = {}
    for name, choices in {
        "plain": {},
        "mask": {"strength_mask": torch.arange(16.0).reshape(16, 1, 1).expand(16, 4, 4) / 16},
        "unhinted": {"unhinted_strength": 0.5},
        "curve": {"strength": make_curve("0: 0, -1: 1.5")},
    }.items():
        positive, _ = apply(controls["rgb"], pictures(2), **choices)
        control = positive[0][1]["control"]
        control.pre_run(model.model, lambda percent: 999 * (1 - percent) if percent else 1000.0)
        cond = {"c_crossattn": conditioning(1)[0][0].repeat(16, 1, 1)}
        x = torch.randn(16, 4, 8, 8, generator=torch.Generator().manual_seed(3))
        seen[name] = control.get_control(x, torch.full((16,), 500.0), cond, 1, {})["output"][3]
    ratio = seen["mask"].flatten(1).norm(dim=1) / seen["plain"].flatten(1).norm(dim=1)
    assert torch.allclose(ratio, torch.arange(16.0) / 16, atol=1e-5)
    ratio = seen["unhinted"].flatten(1).norm(dim=1) / seen["plain"].flatten(1).norm(dim=1)
    assert torch.allclose(ratio, torch.tensor([1.0, *[0.5] * 14, 1.0]), atol=1e-5)
    ratio = seen["curve"].flatten(1).norm(dim=1) / seen["plain"].flatten(1).norm(dim=1)
    assert torch.allclose(ratio, torch.arange(16.0) / 10, atol=1e-5)


def test_a_curve_for_its_strength(model, other_motion, controls, monkeypatch) -> None:
    """A constant one is the plain number bit for bit; in windows the images keep their frames under one that changes."""
    animated = animate(model, other_motion)
    clips = [clip(animated, apply(controls["rgb"], pictures(2), strength=value)) for value in (0.7, make_curve("0: 0.7, 9: 0.7"))]
    assert torch.equal(*clips)
    calls = watch(controls["rgb"], monkeypatch)
    conds = apply(controls["rgb"], pictures(3), strength=make_curve(FADE), placement="indexes", frames="0, 15, 30")
    windowed = clip(animate(model, other_motion, WindowOptions(16, 4)), conds, frames=40, steps=1, cfg=1.0)
    assert [hinted for hinted, _ in calls] == [[0, 15], [3], [6]] and torch.isfinite(windowed).all()


def test_chains_with_other_controls(model, other_motion, controls, monkeypatch) -> None:
    """Before or after a ControlNet, the clip is the same; in windows both keep their frames."""
    animated = animate(model, other_motion, WindowOptions(16, 4, freenoise=False))
    clips = []
    for sparse_last in (True, False):
        calls = watch(controls["rgb"], monkeypatch)
        sparse = apply(controls["rgb"], pictures(2), placement="indexes", frames="0, 30")
        if sparse_last:
            plain, (recorder,) = controlled(conditioning(1), 40)
            result = SparseCtrlApply.execute(
                plain, conditioning(2), controls["rgb"], pictures(2), 1.0, Encoder(), placement="indexes", frames="0, 30"
            ).result
            positive = result[0]
        else:
            positive, (recorder,) = controlled(sparse[0], 40)
        clips.append(clip(animated, (positive, conditioning(2)), frames=40, steps=1, cfg=1.0))
        assert [hinted for hinted, _ in calls] == [[0], [], [6]]
        assert [seen[0] for seen in recorder.seen] == [0, 12, 24]
        monkeypatch.undo()
    assert torch.equal(*clips)


def test_the_hosts_apply_node(model, other_motion, controls, monkeypatch) -> None:
    """Apply ControlNet spreads the images over the clip."""
    calls = watch(controls["rgb"], monkeypatch)
    node = host_nodes.ControlNetApplyAdvanced()
    conds = node.apply_controlnet(conditioning(1), conditioning(2), controls["rgb"], pictures(2), 1.0, 0.0, 1.0, Encoder())
    clip(animate(model, other_motion), conds, steps=1)
    assert calls == [([0, 15], 16)]


# --- memory ----------------------------------------------------------------------------------------------------------


def test_images_are_encoded_once(model, other_motion, controls) -> None:
    """In every step, window and cond, and for the next queue with the same inputs."""
    vae = Encoder()
    conds = apply(controls["rgb"], pictures(3), vae)
    animated = animate(model, other_motion, WindowOptions(16, 4, freenoise=False))
    for _ in range(2):
        clip(animated, conds, frames=40, steps=3)
    assert vae.calls == [3]
    unused = Encoder()
    clip(animated, apply(controls["scribble"], pictures(3), unused), frames=40, steps=1)
    assert unused.calls == []


def test_the_host_manages_its_memory(model, other_motion, controls) -> None:
    control = controls["rgb"]
    conds = apply(control, pictures(1))
    clip(animate(model, other_motion), conds)
    managed = [loaded.model for loaded in comfy.model_management.current_loaded_models]
    assert any(patcher is control.control_model_wrapped for patcher in managed)
    comfy.model_management.unload_all_models()
    managed = [loaded.model for loaded in comfy.model_management.current_loaded_models]
    assert not any(patcher is control.control_model_wrapped for patcher in managed)
    assert torch.isfinite(clip(animate(model, other_motion), conds)).all()


def test_loading_where_the_host_builds_layers_without_weights(controls, tmp_path: Path, monkeypatch) -> None:
    """As under its dynamic VRAM: linear layers have no weights before they are loaded."""
    save_file(sparse_control("scribble"), tmp_path / "scribble.safetensors")
    file = sparse_network.open_file(tmp_path / "scribble.safetensors")
    monkeypatch.setattr(sparse_network, "open_file", lambda _: file)
    monkeypatch.setattr(comfy.memory_management, "aimdo_enabled", True)
    control = load_sparse_control(tmp_path / "scribble.safetensors")
    wanted = controls["scribble"].control_model.state_dict()
    got = control.control_model.state_dict()
    assert got.keys() == wanted.keys() and all(torch.equal(got[key], wanted[key]) for key in got)


# --- bad input -------------------------------------------------------------------------------------------------------


def test_another_control_in_its_place(model, controls) -> None:
    with pytest.raises(ValueError, match="Needed a SparseCtrl model, got ControlNet"):
        apply(comfy.controlnet.ControlNet(torch.nn.Linear(1, 1), load_device=torch.device("cpu")), pictures(1))


def test_its_file_in_the_ordinary_loaders_place(model, other_motion, controls) -> None:
    """The host takes a scribble file for a ControlNet with 4 channels."""
    net = comfy.controlnet.ControlNet(controls["scribble"].control_model, load_device=torch.device("cpu"))
    node = host_nodes.ControlNetApplyAdvanced()
    conds = node.apply_controlnet(conditioning(1), conditioning(2), net, pictures(1), 1.0, 0.0, 1.0)
    animated = animate(model, other_motion)
    with pytest.raises(ValueError, match="takes 4 channels, as SparseCtrl scribble does. Load the file with Load SparseCtrl"):
        clip(animated, conds)
    assert torch.isfinite(run_ksampler(animated)).all()

    class OfAnotherPack(comfy.controlnet.ControlNet):
        """Knows what the fourth channel is for."""

    other = OfAnotherPack(controls["scribble"].control_model, load_device=torch.device("cpu"))
    check_controls({"positive": [{"control": other}]}, ["v3"])


def test_what_images_need(controls) -> None:
    with pytest.raises(ValueError, match=r"rgb.safetensors \(SparseCtrl RGB\) needs a VAE"):
        controls["rgb"].copy().set_cond_hint(torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match=r"needs images with 3 colours; got \(1, 8, 8, 1\)"):
        controls["scribble"].copy().set_cond_hint(torch.zeros(1, 1, 8, 8))


def test_more_images_than_frames(model, other_motion, controls) -> None:
    with pytest.raises(ValueError, match="20 images for an animation of 16 frames"):
        apply(controls["rgb"], pictures(20), latent={"samples": torch.zeros(16, 4, 8, 8)})
    conds = controls["rgb"].copy()
    conds.set_cond_hint(pictures(20).movedim(-1, 1), 1.0, (0.0, 1.0), vae=Encoder())
    positive = [[conditioning(1)[0][0], {"control": conds, "control_apply_to_uncond": True}]]
    animated = animate(model, other_motion)
    with pytest.raises(ValueError, match="20 images for an animation of 16 frames"):
        clip(animated, (positive, conditioning(2)))
    assert torch.isfinite(run_ksampler(animated)).all()


def test_another_motion_module_is_worth_a_warning(model, motion, other_motion, controls, caplog) -> None:
    conds = apply(controls["rgb"], pictures(1))
    with caplog.at_level(logging.WARNING):
        clip(animate(model, other_motion), conds, steps=1)
        assert "SparseCtrl" not in caplog.text
        clip(animate(model, motion), conds, steps=1)
    assert "rgb.safetensors (SparseCtrl) was made for the motion module v3_sd15_mm; this animation has another (v2)" in caplog.text


def test_other_files(tmp_path: Path) -> None:
    state = sparse_control("rgb")
    cases = {
        "controlnet": ({k: v for k, v in state.items() if "motion_modules" not in k}, "is a ControlNet.*Load ControlNet Model"),
        "module": ({k: v for k, v in state.items() if "motion_modules" in k}, "is a motion module.*Load Motion Module"),
        "cut": ({k: v for k, v in state.items() if "zero_convs.7" not in k}, r"lacks 2 of .* tensors: zero_convs.7.0"),
        "more": ({**state, "extra.weight": torch.zeros(1)}, "has 1 tensors that no such model has: extra.weight"),
        "level": ({k: v for k, v in state.items() if "down_blocks.3" not in k}, "level of temporal blocks. The file is incomplete"),
    }
    for name, (tensors, message) in cases.items():
        save_file(tensors, tmp_path / f"{name}.safetensors")
        with pytest.raises(ValueError, match=f"{name}.safetensors.*{message}"):
            load_sparse_control(tmp_path / f"{name}.safetensors")
