"""Context windows: every frame is covered, and keeps its own hint and prompt, however the work is cut."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from animatediff_native.sampling.run.animate import animate
from animatediff_native.sampling.windows import controls
from animatediff_native.sampling.windows.controls import ControlCuts
from animatediff_native.sampling.windows.handler import FrameWindows
from animatediff_native.sampling.windows.indices import full_windows
from animatediff_native.sampling.windows.options import FUSE_METHODS, SCHEDULES, WindowOptions
from animatediff_tests.recorder import OTHER, Run, controlled, marks, prompts, record
from animatediff_tests.tiny import run_ksampler, tiny_inpaint_model
from hypothesis import given, settings
from hypothesis import strategies as st

FRAMES = (1, 15, 16, 17, 40, 100, 257)


def windowed(model: Any, motion: Any, schedule: str, **options: Any) -> Any:
    return animate(model, motion, WindowOptions(16, 4, schedule, freenoise=False, **options))


@pytest.fixture(scope="module")
def inpaint_model():
    """A MODEL whose UNet also takes a mask and a picture per frame."""
    return tiny_inpaint_model()


def conditioned(frames: int) -> tuple[list[Any], list[Any], list[Any]]:
    """Positive with a hint, mask, prompt and picture per frame, and one more cond without; negative; the recorders."""
    positive, recorders = controlled(prompts(frames), frames, chain=2)
    pictures = {"concat_latent_image": marks(frames, 4, 8, 8) / 0.18215, "concat_mask": torch.ones(frames, 1, 8, 8)}
    notes = {**positive[0][1], "mask": marks(frames, 8, 8), **pictures}
    return [[positive[0][0], notes], [torch.full((1, 2, 64), OTHER), {}]], [[prompts(frames)[0][0], pictures]], recorders


def check(run: Run, recorders: list[Any], frames: int) -> None:
    """Frame i was given hint i, mask i, prompt i and picture i, and only those, in every call."""
    assert {index for call in run.calls for index in call.indices} == set(range(frames))
    assert run.masks == [list(range(frames))]
    first = [call for call in run.calls if -1 not in call.prompts]
    for call in first:
        assert call.prompts == call.images == call.indices * call.conds
    for recorder in recorders:
        assert len(recorder.seen) == len(first), "both conds are controlled"
        for seen, call in zip(recorder.seen, first, strict=True):
            assert seen in (call.indices, call.indices * call.conds)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("frames", FRAMES)
def test_every_frame_keeps_its_conditioning(inpaint_model, motion, frames: int, schedule: str) -> None:
    animated = windowed(inpaint_model, motion, schedule)
    for clone in (animated, animated.clone().clone()):
        positive, negative, recorders = conditioned(frames)
        run = record(clone, frames, positive, negative)
        check(run, recorders, frames)
        assert {call.conds for call in run.calls if -1 not in call.prompts} == {2}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("frames", FRAMES)
def test_conds_that_run_apart_keep_it_too(
    inpaint_model, motion, frames: int, schedule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(inpaint_model), "get_free_memory", lambda *_: 0)
    positive, negative, recorders = conditioned(frames)
    run = record(windowed(inpaint_model, motion, schedule), frames, positive, negative)
    check(run, recorders, frames)
    assert {call.conds for call in run.calls} == {1}


@pytest.mark.parametrize("frames", [17, 257])
def test_views_give_every_frame_its_conditioning(inpaint_model, motion, frames: int) -> None:
    """The UNet is given the whole clip, once."""
    positive, negative, recorders = conditioned(frames)
    run = record(windowed(inpaint_model, motion, "standard_static", views=True), frames, positive, negative)
    check(run, recorders, frames)
    assert all(call.indices == list(range(frames)) for call in run.calls)


@pytest.mark.parametrize(("given_hints", "frames"), [(1, 40), (12, 40), (40, 40), (60, 40)])
def test_other_counts_repeat_as_the_host_repeats(model, motion, given_hints: int, frames: int) -> None:
    positive, (recorder,) = controlled(prompts(1), given_hints)
    run = record(windowed(model, motion, "standard_static"), frames, positive, prompts(1))
    for seen, call in zip(recorder.seen, run.calls, strict=True):
        wanted = [index % given_hints for index in call.indices]
        assert seen[: len(wanted)] == wanted if given_hints > 1 else set(seen) == {0}


@pytest.mark.parametrize(("schedule", "cuts", "calls"), [("standard_static", 3, 12), ("standard_uniform", 9, 15)])
def test_hints_are_prepared_once(
    model, motion, schedule: str, cuts: int, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scaled once per run; cut once per window, again only where windows move; nothing kept afterwards."""
    scaled, made = [], []
    scale, make = controls.scaled_to, ControlCuts._make
    monkeypatch.setattr(controls, "scaled_to", lambda *args: scaled.append(1) or scale(*args))
    monkeypatch.setattr(ControlCuts, "_make", lambda *args: made.append(args[2]) or make(*args))
    positive, (recorder,) = controlled(prompts(1), 40, size=48)
    animated = windowed(model, motion, schedule)
    handler = animated.model_options["context_handler"]
    record(animated, 40, positive, prompts(1), steps=4)
    assert (len(scaled), len(made), len(recorder.seen)) == (1, cuts, calls)
    assert not handler.cache.controls._cuts and not handler.cache.controls._whole


# --- coverage --------------------------------------------------------------------------------------------------------


@st.composite
def window_settings(draw: Any) -> tuple[WindowOptions, int, int]:
    """Any settings that the node allows, a clip longer than a window, and a step."""
    length = draw(st.integers(1, 32))
    options = WindowOptions(
        length,
        draw(st.integers(0, length - 1)),
        draw(st.sampled_from(SCHEDULES)),
        draw(st.sampled_from(FUSE_METHODS)),
        freenoise=False,
        stride=draw(st.integers(1, 8)),
        closed_loop=draw(st.booleans()),
    )
    return options, draw(st.integers(length + 1, max(length + 2, 160))), draw(st.integers(0, 40))


def check_order(window: list[int], schedule: str) -> None:
    """A window goes forwards in time; one of the looped schedule may go over the end once, not round to where it began."""
    falls = [i for i, (before, after) in enumerate(pairwise(window)) if after <= before]
    if schedule != "looped_uniform":
        assert falls == []
    assert falls == [] or (len(falls) == 1 and window[-1] < window[0])


@pytest.mark.parametrize(("frames", "stride", "steps"), [(17, 2, 8), (37, 2, 8), (33, 4, 16), (100, 8, 20)])
@pytest.mark.parametrize("schedule", ["standard_uniform", "looped_uniform"])
def test_strides_cover_every_frame_at_every_step(schedule: str, frames: int, stride: int, steps: int) -> None:
    """With 17 frames a window ran backwards; with 37 the third step failed."""
    handler = FrameWindows(WindowOptions(16, 4, schedule, freenoise=False, stride=stride))
    for step in range(steps):
        handler.at_step(step)
        windows = handler.index_lists(frames)
        assert {index for window in windows for index in window} == set(range(frames))
        for window in windows:
            check_order(window, schedule)
        assert stride == 2 or any(b - a > 1 for window in windows for a, b in pairwise(window)), "strides are used"


def test_a_run_with_strides_ends(model, motion) -> None:
    options = WindowOptions(16, 4, "standard_uniform", stride=2)
    assert torch.isfinite(run_ksampler(animate(model, motion, options), frames=37, steps=4)).all()


@settings(max_examples=400, deadline=None)
@given(window_settings())
def test_every_frame_is_covered_by_full_windows(drawn: tuple[WindowOptions, int, int]) -> None:
    options, frames, step = drawn
    handler = FrameWindows(options)
    handler.at_step(step)
    windows = [w.index_list for w in handler.get_context_windows(None, torch.zeros(frames, 4, 1, 1), {})]
    assert {index for window in windows for index in window} == set(range(frames))
    for window in windows:
        assert len(window) == len(set(window)) == options.length
        check_order(window, options.schedule)
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
    options = WindowOptions(16, overlap, "batched", fuse, freenoise=False)
    assert torch.isfinite(run_ksampler(animate(model, motion, options), frames=40)).all()


@pytest.mark.parametrize(
    ("given_windows", "frames", "may_wrap", "wanted"),
    [
        ([[0, 1, 2], [3, 4, 5], [6]], 7, False, [[0, 1, 2], [3, 4, 5], [4, 5, 6]]),
        ([[0, 1, 2], [6, 7, 8]], 7, False, [[0, 1, 2], [4, 5, 6]]),
        ([[0, 2, 0], [0, 1, 2], [0, 1, 2]], 4, False, [[0, 1, 2]]),
        ([[5, 6, 0], [0, 1, 2]], 7, True, [[5, 6, 0], [0, 1, 2]]),
        ([[5, 6, 0], [0, 1, 2]], 7, False, [[0, 1, 2]]),
        ([[0, 2, 1], [2, 1, 0], [2, 4, 3]], 5, True, []),
    ],
)
def test_what_is_repaired(
    given_windows: list[list[int]], frames: int, may_wrap: bool, wanted: list[list[int]]
) -> None:
    assert full_windows(given_windows, frames, 3, may_wrap) == wanted
