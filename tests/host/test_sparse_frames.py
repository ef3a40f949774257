"""SparseCtrl whose settings travel with the CONTROL_NET, and whose VAE travels with the IMAGE, through the host's Apply ControlNet."""

from __future__ import annotations

from typing import Any

import comfy.controlnet
import pytest
import torch
from animatediff_native.demo.tiny_sparse_control import sparse_control
from animatediff_native.nodes.sparse_control import SparseCtrlApply, SparseCtrlFrames, SparseCtrlImages
from animatediff_native.sampling.controls.curve import with_control_curve
from animatediff_native.sampling.controls.placement import shown_in
from animatediff_native.sampling.controls.sparse import SparseControl, load_sparse_control
from animatediff_native.sampling.run.animate import animate
from animatediff_native.sampling.timeline.curve import make_curve
from animatediff_native.sampling.windows.options import WindowOptions
from animatediff_tests.host.test_sparse_control import Encoder, clip, pictures, watch
from animatediff_tests.recorder import controlled
from animatediff_tests.tiny import conditioning
from safetensors.torch import save_file
from torch import Tensor

import nodes as host_nodes


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> SparseControl:
    """A SparseCtrl RGB model from a file."""
    path = tmp_path_factory.mktemp("sparse") / "rgb.safetensors"
    save_file(sparse_control("rgb"), path)
    with torch.inference_mode():
        return load_sparse_control(path)


def frames_set(control: SparseControl, **choices: Any) -> SparseControl:
    """By the node Set SparseCtrl Frames."""
    return SparseCtrlFrames.execute(control, **choices).result[0]


def carried(images: Tensor, vae: Any = None) -> Tensor:
    """By the node Images for SparseCtrl."""
    return SparseCtrlImages.execute(images, vae or Encoder()).result[0]


def applied(control: SparseControl, images: Tensor, vae: Any = None, pair: Any = None, strength: float = 1.0) -> Any:
    """By the host's Apply ControlNet."""
    node = host_nodes.ControlNetApplyAdvanced()
    pair = pair or (conditioning(1), conditioning(2))
    return node.apply_controlnet(*pair, control, images, strength, 0.0, 1.0, vae=vae)


# --- settings on the CONTROL_NET -------------------------------------------------------------------------------------


def test_the_same_as_apply_sparse_ctrl(model, other_motion, control) -> None:
    choices = {"placement": "indexes", "frames": "2, -3", "unhinted_strength": 0.5, "motion_strength": 0.7}
    animated = animate(model, other_motion)
    one = clip(animated, applied(frames_set(control, **choices), pictures(2), Encoder()))
    prompts = (conditioning(1), conditioning(2))
    other = SparseCtrlApply.execute(*prompts, control, pictures(2), 1.0, Encoder(), **choices).result
    assert torch.equal(one, clip(animated, other))
    assert control.settings.placement == "spread", "the one given is not changed"


def test_in_windows_chains_and_curves(model, other_motion, control, monkeypatch) -> None:
    """Images at 0, 15 and 30 of 40 frames, windows from 0, 12 and 24; another control before, a curve after."""
    animated = animate(model, other_motion, WindowOptions(16, 4, freenoise=False))
    calls = watch(control, monkeypatch)
    before, (recorder,) = controlled(conditioning(1), 40)
    pair = applied(frames_set(control, placement="indexes", frames="0, 15, 30"), pictures(3), Encoder(), (before, conditioning(2)))
    pair = with_control_curve(pair, make_curve("0: 1, -1: 0.2"))
    assert torch.isfinite(clip(animated, pair, frames=40, steps=1, cfg=1.0)).all()
    assert calls == [([0, 15], 16), ([3], 16), ([6], 16)]
    assert [seen[0] for seen in recorder.seen] == [0, 12, 24]


def test_apply_sparse_ctrl_replaces_what_it_has_and_keeps_the_rest(control) -> None:
    given = frames_set(control, placement="first", nearest=True, motion_strength=0.5, hinted_strength=0.3, resize="area")
    positive = SparseCtrlApply.execute(conditioning(1), conditioning(2), given, pictures(1), 1.0, Encoder(), placement="mask").result[0]
    settings = positive[0][1]["control"].settings
    assert (settings.placement, settings.nearest, settings.motion) == ("mask", False, 1.0)
    assert (settings.hinted, settings.resize) == (0.3, "area")


def test_another_control(control) -> None:
    with pytest.raises(ValueError, match="Needed a SparseCtrl model, got ControlNet"):
        frames_set(comfy.controlnet.ControlNet(torch.nn.Linear(1, 1), load_device=torch.device("cpu")))


# --- how strongly it acts --------------------------------------------------------------------------------------------


def residuals(model: Any, control: SparseControl, frames: int = 4, images: int = 1, **choices: Any) -> Tensor:
    """What the control adds to an early block of a call of ``frames``, on their own."""
    positive, _ = applied(frames_set(control, **choices), pictures(images), Encoder())
    given = positive[0][1]["control"]
    given.pre_run(model.model, lambda percent: 999 * (1 - percent) if percent else 1000.0)
    cond = {"c_crossattn": conditioning(1)[0][0].repeat(frames, 1, 1)}
    x = torch.zeros(frames, 4, 8, 8)
    return given.get_control(x, torch.full((frames,), 500.0), cond, 1, {})["output"][4]


def test_motion_strength(model, control) -> None:
    """With 0 a frame is what it is alone, whatever the others show, and there may be more of them than positions."""
    alone = residuals(model, control, frames=1, motion_strength=0.0)
    without = residuals(model, control, frames=40, motion_strength=0.0)
    torch.testing.assert_close(without[:1], alone, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(without[1:2], residuals(model, control, motion_strength=0.0)[3:], rtol=1e-4, atol=1e-4)
    assert (without[1] - without[0]).abs().max() > 0.01
    whole, half = residuals(model, control), residuals(model, control, motion_strength=0.5)
    none = residuals(model, control, motion_strength=0.0)
    assert 0.2 < float((half - none).norm() / (whole - none).norm()) < 0.8
    with pytest.raises(ValueError, match="at most 32 frames at once; got 40"):
        residuals(model, control, frames=40, motion_strength=0.5)


def test_the_first_temporal_block_is_multiplied(model, control, monkeypatch) -> None:
    """What it adds to its input, exactly; and its keys by attention_scale."""
    block = control.control_model.motion.sites()[1]
    seen: list[tuple[Tensor, Tensor]] = []
    forward = block.forward
    monkeypatch.setattr(block, "forward", lambda x, *args: seen.append((x, forward(x, *args))) or seen[-1][1])
    for choices in ({}, {"motion_strength": 2.5}, {"attention_scale": 3.0}):
        residuals(model, control, **choices)
    (x, plain), (same, more), (_, scaled) = seen
    assert torch.equal(x, same)
    torch.testing.assert_close(more - x, 2.5 * (plain - x), rtol=1e-4, atol=1e-5)
    assert (scaled - plain).abs().max() > 1e-5


def test_hinted_and_unhinted(model, control) -> None:
    plain = residuals(model, control)
    other = residuals(model, control, hinted_strength=0.5, unhinted_strength=3.0)
    torch.testing.assert_close(other, plain * torch.tensor([0.5, 3.0, 3.0, 3.0]).view(4, 1, 1, 1))


def test_presence(model, control, monkeypatch) -> None:
    hints: list[Tensor] = []
    forward = control.control_model.forward
    monkeypatch.setattr(control.control_model, "forward", lambda x, hint, *a, **kw: hints.append(hint) or forward(x, hint, *a, **kw))
    residuals(model, control, presence=0.7)
    assert torch.equal(hints[0][:, -1, 0, 0], torch.tensor([0.7, 0.0, 0.0, 0.0]))


def test_resize(model, control) -> None:
    """One pixel of eight by nearest-exact, all of them by area: a chequered picture of 128 pixels tells them apart."""
    vae = Encoder()
    board = (torch.arange(128)[:, None] + torch.arange(128)) % 2
    images = board[None, :, :, None].expand(1, 128, 128, 3).float()
    means = []
    for resize in ("area", "nearest-exact"):
        given = applied(frames_set(control, resize=resize), images, vae)[0][0][1]["control"]
        means.append(float(given._prepared(torch.zeros(1, 4, 8, 8)).mean()) / 0.18215)
    assert means == pytest.approx([0.5, float(board[1::2, 1::2].float().mean())])


# --- windows without an image ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images_at", "indices", "wanted"),
    [
        ({0: 0, 9: 1}, range(8, 16), {1: 1}),
        ({0: 0}, range(8, 16), {0: 0}),
        ({31: 0}, range(8, 16), {7: 0}),
        ({4: 0, 19: 1}, range(8, 16), {0: 0, 7: 1}),
        ({4: 0, 18: 1}, range(8, 16), {7: 1}),
        ({5: 0}, [0, 2, 4, 6, 8], {2: 0}),
    ],
)
def test_the_nearest_image(images_at: dict[int, int], indices: Any, wanted: dict[int, int]) -> None:
    """The nearer one; both where they are equally near; one place for each."""
    assert shown_in(images_at, indices, nearest=True) == wanted
    inside = {position: images_at[frame] for position, frame in enumerate(indices) if frame in images_at}
    assert shown_in(images_at, indices, nearest=False) == inside


# --- a VAE on the IMAGE ----------------------------------------------------------------------------------------------


def test_images_bring_their_vae(model, other_motion, control) -> None:
    vae, animated = Encoder(), animate(model, other_motion)
    wanted = clip(animated, applied(control, pictures(2), Encoder()))
    assert torch.equal(clip(animated, applied(control, carried(pictures(2), vae))), wanted)
    assert vae.calls == [2]
    old = host_nodes.ControlNetApply().apply_controlnet(conditioning(1), control, carried(pictures(2)), 1.0)[0]
    assert isinstance(old[0][1]["control"].vae, Encoder)


def test_a_vae_that_is_connected_comes_first(control) -> None:
    vae = Encoder()
    given = applied(control, carried(pictures(1)), vae)[0][0][1]["control"]
    assert given.vae is vae and type(given.cond_hint_original) is Tensor


def test_apply_sparse_ctrl_takes_them(control) -> None:
    positive = SparseCtrlApply.execute(conditioning(1), conditioning(2), control, carried(pictures(1)), 1.0).result[0]
    assert isinstance(positive[0][1]["control"].vae, Encoder)


def test_they_are_an_ordinary_image_elsewhere(control) -> None:
    images = pictures(2)
    sent = carried(images)
    assert torch.equal(sent, images) and not hasattr(images, "vae")
    assert (255.0 * sent[0].cpu().numpy()).shape == (64, 64, 3), "as nodes that save do it"
    with pytest.raises(ValueError, match="needs a VAE.*here or to Images for SparseCtrl"):
        applied(control, sent * 0.5)


def test_what_is_no_image(control) -> None:
    class Wrapped:
        def movedim(self, *_: int) -> Any:
            return self

    with pytest.raises(ValueError, match="needs images; got Wrapped. Connect them without a preprocessor"):
        applied(control, Wrapped(), Encoder())
