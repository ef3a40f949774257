"""Windows over the steps and around them: plans, views, the host's own windows, progress, preview, interrupts, picture."""

from __future__ import annotations

import time
from typing import Any

import comfy.model_management
import comfy.utils
import latent_preview
import pytest
import torch
from animatediff_native.nodes.context import ApplyContextWindows, ContextWindowOptions, PreviewContextWindows
from animatediff_native.sampling.run.animate import animate
from animatediff_native.sampling.run.preview import contact_sheet
from animatediff_native.sampling.run.windowed import with_windows
from animatediff_native.sampling.windows.handler import FrameWindows
from animatediff_native.sampling.windows.options import WindowOptions
from animatediff_native.sampling.windows.picture import bands, describe_plan, draw
from animatediff_tests.recorder import prompts, record
from animatediff_tests.tiny import run_ksampler
from comfy.cli_args import LatentPreviewMethod, args
from comfy_extras.nodes_context_windows import ContextWindowsManualNode
from torch import Tensor

import nodes as host_nodes


def difference(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


def plain(length: int = 16, overlap: int = 4, **more: Any) -> WindowOptions:
    return WindowOptions(length, overlap, freenoise=False, **more)


# --- plans -----------------------------------------------------------------------------------------------------------


def lengths_per_step(model: Any, frames: int = 32, steps: int = 4) -> list[list[int]]:
    """Window lengths of every model call, step by step."""
    seen: list[list[int]] = [[] for _ in range(steps)]

    def note(_apply: Any, given: dict[str, Any]) -> Tensor:
        options = given["c"]["transformer_options"]
        step = int((options["sample_sigmas"] - given["timestep"][0]).abs().argmin())
        seen[step].append(given["input"].shape[0] // len(given["cond_or_uncond"]))
        return torch.zeros_like(given["input"])

    model = model.clone()
    model.set_model_unet_function_wrapper(note)
    run_ksampler(model, frames=frames, steps=steps, scheduler="simple")
    return seen


def test_options_take_over_one_after_another(model, motion) -> None:
    first = plain(8, 2)
    second = plain(16, 4, start_percent=0.25, previous=first.plan)
    third = plain(32, 8, start_percent=0.75, previous=second.plan)
    assert lengths_per_step(animate(model, motion, third)) == [[8] * 5, [16] * 3, [16] * 3, [32]]


def test_windows_then_views(model, motion) -> None:
    plan = plain(16, 4, views=True, start_percent=0.5, previous=plain().plan)
    assert lengths_per_step(animate(model, motion, plan)) == [[16] * 3, [16] * 3, [32], [32]]
    assert torch.isfinite(run_ksampler(animate(model, motion, plan), frames=40)).all()


def test_the_order_in_which_they_are_wired_does_not_matter() -> None:
    early, late = plain(8, 2), plain(16, 4, start_percent=0.5)
    assert [o.length for o in plain(16, 4, start_percent=0.5, previous=early.plan).plan] == [8, 16]
    assert [o.length for o in plain(8, 2, previous=(late,)).plan] == [8, 16]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (plain(start_percent=0.3), "start at 0.3, so the steps before have none"),
        (plain(start_percent=0.3, previous=(plain(), plain(8, start_percent=0.3))), r"same time \(start_percent 0, 0.3, 0.3\)"),
    ],
)
def test_impossible_plans(model, motion, options: WindowOptions, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        animate(model, motion, options)


def test_every_part_of_a_plan_fits_the_module(model, other_motion) -> None:
    with pytest.raises(ValueError, match="at most 32 frames at once, context_length is 48"):
        animate(model, other_motion, plain(16, start_percent=0.5, previous=(plain(48),)))


# --- views -----------------------------------------------------------------------------------------------------------


def test_views_of_a_whole_clip_are_no_views(model, motion) -> None:
    """Clips up to the length are never cut; the last of them against itself without options, bit for bit."""
    assert torch.equal(run_ksampler(animate(model, motion, plain(views=True))), run_ksampler(animate(model, motion)))


def test_views_differ_from_windows_and_from_the_whole(model, motion) -> None:
    views = run_ksampler(animate(model, motion, plain(views=True)), frames=24)
    windows = run_ksampler(animate(model, motion, plain()), frames=24)
    whole = run_ksampler(animate(model, motion), frames=24)
    assert difference(views, whole) > 1e-3 and difference(views, windows) > 1e-3


def test_views_without_a_module_are_nothing(model) -> None:
    assert torch.equal(run_ksampler(with_windows(model, plain(views=True)), frames=40), run_ksampler(model, frames=40))


# --- without a motion module, and the host's own windows -------------------------------------------------------------


def test_windows_may_come_before_or_after_the_module(model, motion) -> None:
    together = run_ksampler(animate(model, motion, plain()), frames=24)
    assert torch.equal(run_ksampler(with_windows(animate(model, motion), plain()), frames=24), together)
    assert torch.equal(run_ksampler(animate(with_windows(model, plain()), motion), frames=24), together)


def test_later_windows_replace_earlier_ones(model, motion) -> None:
    windowed = with_windows(animate(model, motion, plain(8, 2)), plain())
    assert lengths_per_step(windowed, steps=1) == [[16] * 3]


def host_windows(model: Any, **more: Any) -> Any:
    choices = {
        "context_length": 16, "context_overlap": 4, "context_schedule": "standard_static", "context_stride": 1,
        "closed_loop": False, "fuse_method": "pyramid", "dim": 0, "freenoise": False,
    }  # fmt: skip
    return ContextWindowsManualNode.execute(model, **{**choices, **more}).result[0]


@pytest.mark.parametrize("freenoise", [False, True])
def test_the_hosts_own_node_is_understood(model, motion, freenoise: bool) -> None:
    """Before or after ours, with its defaults (which would make windows of 17): the same as our options."""
    ours = run_ksampler(animate(model, motion, WindowOptions(16, 4, freenoise=freenoise)), frames=24)
    assert torch.equal(run_ksampler(host_windows(animate(model, motion), freenoise=freenoise), frames=24), ours)
    assert torch.equal(run_ksampler(animate(host_windows(model, freenoise=freenoise), motion), frames=24), ours)


def test_the_hosts_node_keeps_its_own_choices(model, motion) -> None:
    one = run_ksampler(host_windows(animate(model, motion), latent_retain_index_list="0"), frames=24)
    assert difference(one, run_ksampler(animate(model, motion, plain()), frames=24)) > 1e-4
    handler = host_windows(model).model_options["context_handler"]
    run_ksampler(host_windows(animate(model, motion)), frames=24)
    assert not isinstance(handler, FrameWindows) and handler.causal_window_fix, "the node's own object is not touched"


def test_the_hosts_node_along_another_axis(model, motion) -> None:
    with pytest.raises(ValueError, match="cuts along dimension 2.*Set its dim to 0"):
        run_ksampler(host_windows(animate(model, motion), dim=2))


def test_a_loop_may_be_as_long_as_a_window(model, motion) -> None:
    """A clip of 16 frames closes its loop too: windows also run over its end."""
    loop = animate(model, motion, plain(schedule="looped_uniform", closed_loop=True))
    assert lengths_per_step(loop, frames=16, steps=1) == [[16, 16]]
    assert lengths_per_step(animate(model, motion, plain(schedule="looped_uniform")), frames=16, steps=1) == [[16]]


# --- closed loops ----------------------------------------------------------------------------------------------------


def neighbour_distances(frames: Tensor) -> Tensor:
    """L2 distance of each frame to the next; the last to the first."""
    return (frames - frames.roll(-1, 0)).flatten(1).norm(dim=1)


def smoothing(model: Any, strength: float = 0.9) -> Any:
    """A MODEL that denoises as a motion module does in the ideal case: each frame moves towards its neighbours in the
    window. The UNet is left out, so that only windows and noise decide how the clip moves."""

    def denoise(_apply: Any, given: dict[str, Any]) -> Tensor:
        x = given["input"].unflatten(0, (len(given["cond_or_uncond"]), -1))
        distance = torch.arange(x.shape[1])
        near = torch.exp(-((distance[:, None] - distance) ** 2) / 8.0)
        mean = torch.einsum("fg,bg...->bf...", near / near.sum(1, keepdim=True), x)
        sigma = given["timestep"][0]
        return (strength * mean / (1 + sigma**2) ** 0.5 + (1 - strength) * x / (1 + sigma**2)).flatten(0, 1)

    model = model.clone()
    model.set_model_unet_function_wrapper(denoise)
    return model


def closing(model: Any, frames: int) -> float:
    """Distance from the last frame to the first, over the median distance of neighbours, each the mean of 16 seeds."""
    clips = [run_ksampler(smoothing(model), frames=frames, steps=12, seed=seed, size=4) for seed in range(16)]
    distances = torch.stack([neighbour_distances(clip) for clip in clips]).mean(0)
    return float(distances[-1] / distances.median())


@pytest.mark.parametrize("frames", [16, 50])
def test_a_closed_loop_closes(model, frames: int) -> None:
    """From the last frame to the first it is no further than between neighbours; without the loop it is."""
    assert closing(with_windows(model, plain(schedule="looped_uniform", closed_loop=True)), frames) <= 1.05
    assert closing(with_windows(model, plain()), frames) > 4


# --- progress, preview, interrupt ------------------------------------------------------------------------------------


@pytest.fixture
def progress(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, Any]]:
    """What the host's progress hook is told: (value, total, preview)."""
    told: list[tuple[int, int, Any]] = []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, preview, **_: told.append((value, total, preview)))
    return told


def test_progress_counts_windows_and_never_goes_back(model, motion, progress) -> None:
    run_ksampler(animate(model, motion, plain()), frames=40, steps=3)
    shares = [value / total for value, total, _ in progress]
    assert shares == sorted(shares) and shares[-1] == 1
    assert {(value, total) for value, total, _ in progress} >= {(value, 9) for value in range(9)}


@pytest.mark.parametrize(("frames", "tiles"), [(16, 4), (3, 4), (40, 4)])
def test_the_preview_shows_several_frames(model, motion, progress, monkeypatch, frames: int, tiles: int) -> None:
    monkeypatch.setattr(args, "preview_method", LatentPreviewMethod.Latent2RGB)
    run_ksampler(animate(model, motion, plain()), frames=frames, steps=2)
    sizes = [preview[1].size for _, _, preview in progress if preview]
    assert sizes == [(8, 8), (16, 16)] * 2, "the host's own of one frame, then ours of four"


def test_the_preview_leaves_what_samplers_return_alone(model, motion, monkeypatch) -> None:
    monkeypatch.setattr(args, "preview_method", LatentPreviewMethod.Latent2RGB)
    given = {}
    prepare = latent_preview.prepare_callback
    monkeypatch.setattr(latent_preview, "prepare_callback", lambda model, steps, x0=None: prepare(model, steps, given))
    run_ksampler(animate(model, motion), steps=2)
    assert given["x0"].shape == (16, 4, 8, 8)


def test_the_contact_sheet_reads_like_text() -> None:
    frames = torch.arange(10.0).reshape(10, 1, 1, 1).expand(10, 2, 3, 5)
    sheet = contact_sheet(frames)
    assert sheet.shape == (1, 2, 6, 10)
    assert [sheet[0, 0, y, x].item() for y in (0, 5) for x in (0, 9)] == [0, 3, 6, 9]


def test_an_interrupt_stops_within_a_window(model, motion) -> None:
    animated, calls = animate(model, motion, plain()), []

    def stop(apply: Any, given: dict[str, Any]) -> Tensor:
        calls.append(1)
        if len(calls) == 2:
            comfy.model_management.interrupt_current_processing()
        return apply(given["input"], given["timestep"], **given["c"])

    animated.set_model_unet_function_wrapper(stop)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        run_ksampler(animated, frames=40, steps=3)
    assert len(calls) == 2
    handler = animated.model_options["context_handler"]
    assert not handler.cache.controls._cuts and handler.cache._windows == (None, [])


# --- nodes and picture -----------------------------------------------------------------------------------------------


def options_node(**more: Any) -> WindowOptions:
    return ContextWindowOptions.execute(16, 4, "standard_static", "pyramid", **{"freenoise": True, **more}).result[0]


def test_the_nodes_make_what_they_say(model) -> None:
    first = options_node()
    second = options_node(start_percent=0.5, previous_options=first, views=True, context_stride=2, closed_loop=True)
    assert first == WindowOptions()
    assert second == WindowOptions(views=True, stride=2, closed_loop=True, start_percent=0.5, previous=(first,))
    windowed = ApplyContextWindows.execute(model, second).result[0]
    assert "context_handler" in windowed.model_options and "context_handler" not in model.model_options


def test_old_graphs_without_the_new_inputs() -> None:
    assert ContextWindowOptions.execute(16, 4, "batched", "flat").result[0] == WindowOptions(16, 4, "batched", "flat")


def test_the_picture_shows_the_weights() -> None:
    """48 frames in windows of 16, overlap 4: where one window is alone its cells are brightest."""
    options = WindowOptions()
    (band,) = list(bands(options, 48, 20))
    assert (band.first, band.last) == (1, 20)
    assert [sorted(shares)[:: len(shares) - 1] for shares in band.shares] == [[0, 15], [12, 27], [24, 39], [32, 47]]
    for frame in range(48):
        assert sum(shares.get(frame, 0) for shares in band.shares) == pytest.approx(1)
    image = draw(options, 48, 20)
    assert image.shape[0] == 1 and image.shape[3] == 3 and image.min() >= 0 and image.max() <= 1
    alone, shared = image[0, 62, 88 + 20 * 5 + 3].max(), image[0, 62, 88 + 20 * 14 + 3].max()
    assert alone > shared > image[0, 62, 88 + 20 * 20 + 3].max()


def test_the_picture_follows_steps_and_plans() -> None:
    plan = plain(24, 8, views=True, start_percent=0.5, previous=plain(schedule="standard_uniform").plan)
    found = list(bands(plan, 64, 12))
    assert [(band.first, band.last) for band in found] == [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 12)]
    first, second = describe_plan(plan, 64, 12).split("\n")
    assert "from 0%" in first and "the whole model" in first
    assert "from 50%: 4 windows of 24 frames over the temporal attention" in second and "1.50 times" in second


def test_pictures_of_the_windows_that_are_sampled(model, motion) -> None:
    options = plain(schedule="standard_uniform")
    calls = record(animate(model, motion, options), 40, prompts(1), prompts(1), steps=3).calls
    drawn = [sorted(shares) for band in bands(options, 40, 3) for shares in band.shares]
    assert [sorted(call.indices) for call in calls] == drawn


@pytest.mark.parametrize(("frames", "steps"), [(1, 1), (16, 20), (4096, 1), (257, 200)])
def test_pictures_of_any_size(frames: int, steps: int) -> None:
    result = PreviewContextWindows.execute(options_node(), frames, steps)
    image, text = result.result
    assert min(frames * 2, 330) <= image.shape[2] <= 1100 and image.shape[1] <= 1100 and str(min(16, frames)) in text


@pytest.mark.parametrize(("frames", "steps", "overlap", "schedule"), [
    (4096, 1000, 15, "standard_static"), (1024, 20, 15, "standard_uniform"), (2000, 1000, 4, "standard_uniform"), (481, 60, 12, "looped_uniform"),
    (24, 1000, 4, "standard_uniform"),
])  # fmt: skip
def test_pictures_have_a_limit(frames: int, steps: int, overlap: int, schedule: str) -> None:
    """Thousands of windows are drawn in seconds, on a megapixel; what is not drawn is said."""
    begun = time.monotonic()
    image = draw(plain(16, overlap, schedule=schedule), frames, steps)
    assert time.monotonic() - begun < 30 and image.shape[1] * image.shape[2] < 1.2e6
    last = image[0, -20:-10].amax(dim=(0, 2))
    assert bool((last > 0.8).any()) == (schedule != "standard_static"), "text, where steps are left out"


def test_every_window_and_frame_has_its_place_in_a_small_picture() -> None:
    """2,000 frames in 960 pixels, 1,985 windows in 480 rows: the bars go evenly from the upper left to the lower right."""
    image = draw(plain(16, 15), 2000, 1)[0, 62 : 62 + 960, 88 : 88 + 960]
    found = (image.amax(dim=-1) - image.amin(dim=-1) > 0.1).float()
    for part in (0.02, 0.5, 0.98):
        columns = found[int(part * 959) // 2 * 2].nonzero()[:, 0]
        assert float(columns.float().mean()) / 960 == pytest.approx(part, abs=0.02) and 6 < len(columns) < 14
    assert found.any(dim=0).all()


def test_a_picture_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def cancelled() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise comfy.model_management.InterruptProcessingException

    monkeypatch.setattr("animatediff_native.sampling.windows.picture.stop_if_interrupted", cancelled)
    for what in (draw, describe_plan):
        asked.clear()
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            what(plain(schedule="standard_uniform"), 4096, 1000)


def test_a_picture_is_of_the_latent_that_is_connected() -> None:
    latent = {"samples": torch.zeros(40, 4, 8, 8)}
    image, text = PreviewContextWindows.execute(options_node(), 24, 5, latent).result
    other, said = PreviewContextWindows.execute(options_node(), 40, 5).result
    assert torch.equal(image, other) and text == said


def test_a_picture_of_nothing() -> None:
    with pytest.raises(ValueError, match="at least 1 frame and 1 step; got 0 and 3"):
        draw(WindowOptions(), 0, 3)


def test_sampling_with_custom_samplers_of_many_evaluations(model, motion, progress) -> None:
    """Heun and DPM++ SDE ask more than once per step."""
    for sampler in ("heun", "dpmpp_sde"):
        progress.clear()
        latent = {"samples": torch.zeros(40, 4, 8, 8)}
        conds = (prompts(1), prompts(1))
        out = host_nodes.common_ksampler(animate(model, motion, plain()), 1, 3, 3.0, sampler, "normal", *conds, latent)[0]
        shares = [value / total for value, total, _ in progress]
        assert torch.isfinite(out["samples"]).all() and shares[-1] == 1
