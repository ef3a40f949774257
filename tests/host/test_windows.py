"""Context windows: every frame is covered, and keeps its own hint and prompt, however the work is cut."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import comfy.controlnet
import comfy.ops
import pytest
import torch
from animatediff_native.sampling import window_controls
from animatediff_native.sampling.inject import animate
from animatediff_native.sampling.window_controls import ControlCuts
from animatediff_native.sampling.windows import FUSE_METHODS, SCHEDULES, ContextOptions, FrameWindows, repaired
from animatediff_tests.tiny import run_ksampler
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import nodes as host_nodes

FRAMES = (1, 15, 16, 17, 40, 100, 257)
UNIT = 1 / 512
"""Frame i is marked by the value i * UNIT, which every dtype holds exactly."""


class Recorder(nn.Module):
    """A control network under the host's ControlNet: notes which hints it is given, controls nothing."""

    dtype = torch.float32

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.seen: list[list[int]] = []

    def forward(self, x: Tensor, hint: Tensor, timesteps: Tensor, context: Tensor, **_: Any) -> dict[str, list[Tensor]]:
        self.seen.append([round(value / UNIT) for value in hint[:, 0, 0, 0].tolist()])
        return {"input": [], "middle": [], "output": []}


def marks(count: int, *shape: int) -> Tensor:
    """A batch whose entry i is filled with i * UNIT."""
    return (torch.arange(count) * UNIT).reshape(-1, *[1] * len(shape)).expand(count, *shape).contiguous()


def controlled(
    conditioning: list[Any], hints: int, chain: int = 1, size: int = 64
) -> tuple[list[Any], list[Recorder]]:
    """A CONDITIONING with a chain of ControlNets, as Apply ControlNet makes it."""
    recorders = []
    images = marks(hints, size, size, 3)
    for _ in range(chain):
        recorders.append(Recorder())
        net = comfy.controlnet.ControlNet(recorders[-1], load_device=torch.device("cpu"), extra_conds=[])
        conditioning = host_nodes.ControlNetApply().apply_controlnet(conditioning, net, images, 1.0)[0]
    return conditioning, recorders


def run(model: Any, frames: int, positive: Any, negative: Any, steps: int = 1) -> list[tuple[list[int], int, list[float]]]:
    """Sample without the UNet; per model call: frames of the window, number of conds, first value of each prompt."""
    calls = []

    def note(_apply: Any, args: dict[str, Any]) -> Tensor:
        options = args["c"]["transformer_options"]
        window = options.get("context_window")
        indices = list(window.index_list) if window else list(range(frames))
        prompts = [value / UNIT for value in args["c"]["c_crossattn"][:, 0, 0].tolist()]
        calls.append((indices, len(args["cond_or_uncond"]), prompts))
        return torch.zeros_like(args["input"])

    model = model.clone()
    model.set_model_unet_function_wrapper(note)
    latent = {"samples": torch.zeros(frames, 4, 8, 8)}
    host_nodes.common_ksampler(model, 1, steps, 3.0, "euler", "normal", positive, negative, latent)
    return calls


def prompts(count: int) -> list[Any]:
    return [[marks(count, 2, 64), {}]]


def windowed(model: Any, motion: Any, schedule: str, **options: Any) -> Any:
    return animate(model, motion, ContextOptions(16, 4, schedule, freenoise=False, **options))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("frames", FRAMES)
def test_every_frame_keeps_its_hint_and_prompt(model, motion, frames: int, schedule: str) -> None:
    animated = windowed(model, motion, schedule)
    for clone in (animated, animated.clone().clone()):
        positive, recorders = controlled(prompts(frames), frames, chain=2)
        calls = run(clone, frames, positive, prompts(frames))
        assert {index for indices, _, _ in calls for index in indices} == set(range(frames))
        for recorder in recorders:
            assert len(recorder.seen) == len(calls)
            for seen, (indices, conds, _) in zip(recorder.seen, calls, strict=True):
                assert seen[: len(indices)] == indices and len(seen) in (len(indices), conds * len(indices))
        for indices, conds, values in calls:
            assert values == indices * conds


@pytest.mark.parametrize("frames", [17, 40])
def test_conds_that_run_apart_keep_them_too(model, motion, frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(model), "get_free_memory", lambda *_: 0)
    positive, (recorder,) = controlled(prompts(frames), frames)
    calls = run(windowed(model, motion, "standard_static"), frames, positive, prompts(frames))
    assert {conds for _, conds, _ in calls} == {1}
    assert all(values == indices for indices, _, values in calls)
    assert all(seen in [indices for indices, _, _ in calls] for seen in recorder.seen)
    assert len(recorder.seen) == len(calls), "the host controls both conds"


@pytest.mark.parametrize(("given_hints", "frames"), [(1, 40), (12, 40), (40, 40), (60, 40)])
def test_other_counts_repeat_as_the_host_repeats(model, motion, given_hints: int, frames: int) -> None:
    positive, (recorder,) = controlled(prompts(1), given_hints)
    calls = run(windowed(model, motion, "standard_static"), frames, positive, prompts(1))
    for seen, (indices, _, _) in zip(recorder.seen, calls, strict=True):
        wanted = [index % given_hints for index in indices]
        assert seen[: len(indices)] == wanted if given_hints > 1 else set(seen) == {0}


@pytest.mark.parametrize(("schedule", "cuts"), [("standard_static", 3), ("standard_uniform", 12)])
def test_hints_are_prepared_once(
    model, motion, schedule: str, cuts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scaled once per run; cut once per window, again only where windows move; nothing kept afterwards."""
    scaled, made = [], []
    scale, make = window_controls.common_upscale, ControlCuts._make
    monkeypatch.setattr(window_controls, "common_upscale", lambda *args: scaled.append(1) or scale(*args))
    monkeypatch.setattr(ControlCuts, "_make", lambda *args: made.append(args[2]) or make(*args))
    positive, (recorder,) = controlled(prompts(1), 40, size=48)
    animated = windowed(model, motion, schedule)
    handler = animated.model_options["context_handler"]
    run(animated, 40, positive, prompts(1), steps=4)
    assert len(scaled) == 1 and abs(len(made) - cuts) <= 2 and len(recorder.seen) == len(made) * (12 // cuts)
    assert not handler._controls._cuts and not handler._controls._whole


# --- coverage --------------------------------------------------------------------------------------------------------


@st.composite
def window_settings(draw: Any) -> tuple[ContextOptions, int, int]:
    """Any settings that the node allows, a clip longer than a window, and a step."""
    length = draw(st.integers(1, 32))
    options = ContextOptions(
        length,
        draw(st.integers(0, length - 1)),
        draw(st.sampled_from(SCHEDULES)),
        draw(st.sampled_from(FUSE_METHODS)),
        freenoise=False,
        stride=draw(st.integers(1, 8)),
        closed_loop=draw(st.booleans()),
    )
    return options, draw(st.integers(length + 1, max(length + 2, 160))), draw(st.integers(0, 40))


@settings(max_examples=400, deadline=None)
@given(window_settings())
def test_every_frame_is_covered_by_full_windows(drawn: tuple[ContextOptions, int, int]) -> None:
    options, frames, step = drawn
    handler = FrameWindows(options)
    handler._step = step
    windows = [w.index_list for w in handler.get_context_windows(None, torch.zeros(frames, 4, 1, 1), {})]
    assert {index for window in windows for index in window} == set(range(frames))
    for window in windows:
        assert len(window) == len(set(window)) == options.length
    weights = torch.zeros(frames)
    for window in windows:
        sigma = SimpleNamespace()
        part = handler.fuse_method.func(
            len(window), sigma=sigma, handler=handler, full_length=frames, idxs=window, context_overlap=options.overlap
        )
        weights[window] += torch.as_tensor(part, dtype=torch.float32)
    assert (weights > 0).all(), "a frame nobody weighs is divided by zero"


@pytest.mark.parametrize("fuse", FUSE_METHODS)
@pytest.mark.parametrize("overlap", [0, 4])
def test_every_fuse_runs(model, motion, fuse: str, overlap: int) -> None:
    """Linear blending over no overlap fails in the host; here it is the same as flat."""
    options = ContextOptions(16, overlap, "batched", fuse, freenoise=False)
    assert torch.isfinite(run_ksampler(animate(model, motion, options), frames=40)).all()


def test_what_is_repaired() -> None:
    assert repaired([[0, 1, 2], [3, 4, 5], [6]], 7, 3) == [[0, 1, 2], [3, 4, 5], [4, 5, 6]]
    assert repaired([[0, 1, 2], [6, 7, 8]], 7, 3) == [[0, 1, 2], [4, 5, 6]]
    assert repaired([[0, 2, 0], [0, 1, 2], [0, 1, 2]], 4, 3) == [[0, 1, 2]]
    assert repaired([[5, 6, 0], [0, 1, 2]], 7, 3) == [[5, 6, 0], [0, 1, 2]]
