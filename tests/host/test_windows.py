"""Context windows: every frame is covered, and keeps its own hint and prompt, however the work is cut."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from animatediff_native.nodes.noise import ApplyFreeInit
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


# --- which windows, when ------------------------------------------------------------------------------------------------


def first_frames(step: int, frames: int, schedule: str, **more: Any) -> list[int]:
    """Where windows of 16 neighbouring frames begin at a step."""
    handler = FrameWindows(WindowOptions(16, 4, schedule, freenoise=False, **more))
    handler.at_step(step)
    windows = handler.index_lists(frames)
    assert all(window == [(window[0] + i) % frames for i in range(16)] for window in windows)
    return [window[0] for window in windows]


@pytest.mark.parametrize(
    ("schedule", "frames", "wanted"),
    [
        ("looped_uniform", 24, [[0, 12], [12, 0], [6, 18], [18, 6]]),
        ("standard_uniform", 24, [[0, 8], [8, 0], [6, 8, 0], [8, 0, 6]]),
        ("looped_uniform", 48, [[0, 12, 24, 36], [24, 36, 0, 12], [12, 24, 36, 0], [36, 0, 12, 24]]),
        ("standard_uniform", 48, [[0, 12, 24, 32], [24, 32, 0, 12], [12, 24, 32, 0], [32, 0, 12, 24]]),
    ],
)
def test_uniform_windows_shift_as_elsewhere(schedule: str, frames: int, wanted: list[list[int]]) -> None:
    """In the order of AnimateDiff-Evolved, with which shared graphs were made."""
    assert [first_frames(step, frames, schedule) for step in range(4)] == wanted


@pytest.mark.parametrize(
    ("equal", "closed", "wanted"),
    [
        ("closed loops", False, None),
        ("closed loops", True, [[0, 12], [8, 4]]),
        ("always", False, [[0], [8]]),
        ("always", True, [[0, 12], [8, 4]]),
        ("never", True, None),
    ],
)
def test_as_many_frames_as_a_window(equal: str, closed: bool, wanted: list[list[int]] | None) -> None:
    options = WindowOptions(16, 4, "looped_uniform", closed_loop=closed, equal_length=equal)
    assert FrameWindows(options).is_needed(16) is (wanted is not None)
    assert not FrameWindows(options).is_needed(15) and FrameWindows(options).is_needed(17)
    if wanted is not None:
        found = [first_frames(step, 16, "looped_uniform", closed_loop=closed, equal_length=equal) for step in range(2)]
        assert found == wanted


@pytest.mark.parametrize(
    ("fuse", "wanted"), [("pyramid", [1, 2, 3, 4, 4, 3, 2, 1]), ("flat", [1.0] * 8), ("overlap-linear", [1.0] * 8)]
)
def test_weights_without_overlap(fuse: str, wanted: list[float]) -> None:
    """A last window that was moved back overlaps all the same, and the fuse says how it counts."""
    handler = FrameWindows(WindowOptions(8, 0, fuse=fuse))
    assert handler.index_lists(20)[-1] == list(range(12, 20))
    assert handler.weights(list(range(12, 20)), 20) == wanted


def steps_of_calls(model: Any, sampler: str, steps: int = 3) -> list[int]:
    """The step that the windows of each evaluation of 24 frames belong to, of a MODEL with looped windows."""
    begins = [first_frames(step, 24, "looped_uniform") for step in range(steps + 1)]
    calls: list[int] = []

    def note(_apply: Any, given: dict[str, Any]) -> torch.Tensor:
        calls.append(given["c"]["transformer_options"]["context_window"].index_list[0])
        return torch.zeros_like(given["input"])

    model = model.clone()
    model.set_model_unet_function_wrapper(note)
    run_ksampler(model, frames=24, steps=steps, sampler=sampler, cfg=1.0)
    return [begins.index(calls[at : at + 2]) for at in range(0, len(calls), 2)]


@pytest.mark.parametrize(
    ("sampler", "wanted"), [("euler", [0, 1, 2]), ("heun", [0, 1, 1, 2, 2]), ("dpm_2", [0, 1, 1, 2, 2])]
)
def test_windows_move_on_after_each_reported_step(model, motion, sampler: str, wanted: list[int]) -> None:
    """dpm_2 evaluates between two steps, where there is no sigma to tell which step it is."""
    animated = windowed(model, motion, "looped_uniform")
    assert steps_of_calls(animated, sampler) == wanted
    assert steps_of_calls(animated, sampler) == wanted, "the next run begins again"


def test_each_sampling_of_free_init_begins_again(model, motion) -> None:
    animated = ApplyFreeInit.execute(windowed(model, motion, "looped_uniform"), 2).result[0]
    assert steps_of_calls(animated, "dpm_2") == [0, 1, 1, 2, 2] * 2


def test_a_plan_counts_too(model, motion) -> None:
    """The second options take over in the middle, at the step that the run has come to."""
    options = WindowOptions(16, 4, "looped_uniform", freenoise=False)
    later = WindowOptions(16, 4, "looped_uniform", "flat", freenoise=False, start_percent=0.5, previous=(options,))
    assert steps_of_calls(animate(model, motion, later), "dpm_2") == [0, 1, 1, 2, 2]


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
