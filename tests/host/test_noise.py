"""Noise that belongs to frames, for every kind of sampler, and FreeInit against its formulas."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import comfy.sample
import comfy.samplers
import comfy.utils
import pytest
import torch
from animatediff_native.nodes.noise import ApplyFrameNoise, ApplyFreeInit, RandomFrameNoise
from animatediff_native.sampling.run.animate import animate
from animatediff_native.sampling.run.start import with_frame_noise, with_free_init
from animatediff_native.sampling.run.windowed import with_windows
from animatediff_native.sampling.start.free_init import FILTERS, FreeInit, low_pass, reinitialized
from animatediff_native.sampling.start.noise import DRAWS, FrameNoise, FrameNoiseSource, frame_seeds, initial_noise
from animatediff_native.sampling.windows.options import WindowOptions
from animatediff_tests.tiny import conditioning, run_ksampler
from comfy.context_windows import apply_freenoise
from comfy.patcher_extension import WrappersMP
from comfy_extras.nodes_context_windows import ContextWindowsManualNode
from torch import Tensor

import nodes as host_nodes


def noised(model: Any, kind: str = "per frame", **more: Any) -> Any:
    return ApplyFrameNoise.execute(model, **{"kind": kind, "shared": 0.0, "length": 16, "overlap": 4, **more}).result[0]


def noise(frames: int, seed: int = 1, **options: Any) -> Tensor:
    return initial_noise(torch.zeros(frames, 4, 8, 8), seed, FrameNoise(**options))


# --- noise of frames -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral", "dpmpp_2m_sde", "dpmpp_sde", "lcm", "dpm_2_ancestral"])
def test_a_longer_clip_begins_like_a_shorter_one(model, sampler: str) -> None:
    """Without motion, bit for bit; with the host's own noise it does not, where a sampler draws from one generator."""
    short, long = (run_ksampler(noised(model), frames=frames, steps=3, sampler=sampler) for frames in (16, 24))
    assert torch.equal(long[:16], short)
    if sampler == "euler_ancestral":
        plain = [run_ksampler(model, frames=frames, steps=3, sampler=sampler) for frames in (16, 24)]
        assert not torch.equal(plain[1][:16], plain[0])


def test_seeds_do_not_meet() -> None:
    seeds = [s for seed in range(50) for s in frame_seeds(seed, 100, FrameNoise())]
    assert len(set(seeds)) == len(seeds) and all(0 <= s < 2**63 for s in seeds)
    assert frame_seeds(2**64 - 1, 3, FrameNoise())[0] >= 0


def test_kinds() -> None:
    own = noise(40)
    assert len({frame.sum().item() for frame in own}) == 40
    repeated = noise(40, kind="repeated", length=16)
    assert torch.equal(repeated[16:32], repeated[:16]) and torch.equal(repeated[:16], own[:16])
    constant = noise(5, kind="constant")
    assert all(torch.equal(frame, own[0]) for frame in constant)
    shuffled = noise(40, kind="freenoise")
    assert torch.equal(shuffled[:16], own[:16])
    assert {frame.sum().item() for frame in shuffled} == {frame.sum().item() for frame in own[:16]}


@pytest.mark.parametrize("shared", [0.0, 0.3, 1.0])
def test_shared_noise(shared: float) -> None:
    """Variance 1, and the share is the correlation of two frames."""
    given = initial_noise(torch.zeros(2, 4, 128, 128), 3, FrameNoise(shared=shared)).flatten(1)
    assert given.var().item() == pytest.approx(1, abs=0.03)
    assert (given[0] * given[1]).mean().item() == pytest.approx(shared, abs=0.03)


def test_steps_follow_their_kind(model) -> None:
    """With constant noise all frames are one, also under samplers that add noise."""
    for sampler in ("euler_ancestral", "dpmpp_2m_sde"):
        clip = run_ksampler(noised(model, "constant"), frames=4, steps=3, sampler=sampler)
        assert (clip - clip[0]).abs().max() / clip.abs().max() < 1e-5
        shared = run_ksampler(noised(model, shared=1.0), frames=4, steps=3, sampler=sampler)
        assert (shared - shared[0]).abs().max() / shared.abs().max() < 1e-5


def test_noise_that_was_switched_off_stays_off(model) -> None:
    """The second half of a run in two halves."""
    def half(of: Any) -> Tensor:
        inputs = {"noise_seed": 1, "steps": 4, "cfg": 3.0, "sampler_name": "euler", "scheduler": "normal"}
        steps = {"start_at_step": 2, "end_at_step": 4, "return_with_leftover_noise": "disable", "add_noise": "disable"}
        latent = {"samples": torch.randn(8, 4, 8, 8, generator=torch.Generator().manual_seed(5))}
        conds = {"positive": conditioning(1), "negative": conditioning(2)}
        return host_nodes.KSamplerAdvanced().sample(of, latent_image=latent, **conds, **inputs, **steps)[0]["samples"]

    assert torch.equal(half(noised(model)), half(model))


# --- where it is drawn from ------------------------------------------------------------------------------------------


def drawn_from(seed: int, *shape: int) -> Tensor:
    """What torch draws on the CPU. Sizes that are no multiple of 16 show how many numbers were drawn at once."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def odd(frames: int, seed: int = 5, **options: Any) -> Tensor:
    return initial_noise(torch.zeros(frames, 4, 5, 7), seed, FrameNoise(**options))


def test_drawn_together() -> None:
    """One seed for all frames, as the host draws them; skipped frames are drawn and left out."""
    everything = drawn_from(8, 27, 4, 5, 7)
    assert torch.equal(odd(24, drawn="together", seed_offset=3, skip=3), everything[3:])
    assert torch.equal(odd(24, kind="repeated", length=10, drawn="together", seed_offset=3, skip=3), everything[3:13].repeat(3, 1, 1, 1)[:24])
    assert torch.equal(odd(4, kind="constant", drawn="together", skip=2), drawn_from(5, 3, 4, 5, 7)[2:].expand(4, -1, -1, -1))
    shuffled = apply_freenoise(everything[3:].clone(), 0, 8, 2, 8)
    assert torch.equal(odd(24, kind="freenoise", length=8, overlap=2, drawn="together", seed_offset=3, skip=3), shuffled)


def test_drawn_with_seeds_in_a_row() -> None:
    frames = torch.stack([drawn_from(7 + i, 4, 5, 7) for i in range(24)])
    in_a_row: dict[str, Any] = {"drawn": "seed + frame", "seed_offset": -1, "skip": 3}
    assert torch.equal(odd(24, **in_a_row), frames)
    assert torch.equal(odd(3, kind="constant", **in_a_row), frames[:1].expand(3, -1, -1, -1))
    assert torch.equal(odd(24, kind="repeated", length=9, **in_a_row)[9:18], frames[:9])
    assert torch.equal(odd(24, kind="freenoise", length=8, overlap=2, **in_a_row), apply_freenoise(frames.clone(), 0, 8, 2, 4))


@pytest.mark.parametrize("drawn", DRAWS)
def test_seeds_beyond_the_ends(drawn: str) -> None:
    """Below 0 it goes on at the other end, as torch does it."""
    options: dict[str, Any] = {"kind": "freenoise", "length": 1, "overlap": 0, "shared": 0.1, "drawn": drawn}
    assert torch.equal(odd(2, 1, seed_offset=-4, **options), odd(2, 2**64 - 3, **options))
    assert torch.isfinite(odd(4, 2**64 - 1, drawn=drawn, seed_offset=2)).all()


@pytest.mark.parametrize("drawn", ["together", "seed + frame"])
def test_shared_noise_is_no_frames_own(drawn: str) -> None:
    given = initial_noise(torch.zeros(2, 4, 128, 128), 3, FrameNoise(drawn=drawn, shared=0.3)).flatten(1)
    assert given.var(1).tolist() == pytest.approx([1, 1], abs=0.03)
    assert (given[0] * given[1]).mean().item() == pytest.approx(0.3, abs=0.03)


class Start(Exception):
    """Carries the noise with which a sampler starts."""


def started_with(model: Any, frames: int = 24, seed: int = 1) -> Tensor:
    """The noise that reaches the sampler."""
    model = model.clone()

    def stop(executor: Any, guider: Any, sigmas: Tensor, extra: Any, callback: Any, noise: Tensor, *rest: Any, **kw: Any) -> None:
        raise Start(noise)

    model.add_wrapper_with_key(WrappersMP.SAMPLER_SAMPLE, "zz_start", stop)
    try:
        run_ksampler(model, frames=frames, seed=seed)
    except Start as start:
        return start.args[0]
    raise AssertionError("no sampler ran")


def test_length_0_is_that_of_the_windows(model, motion) -> None:
    """Ours, views, the host's own with and without a module, several in a row; without windows nothing is repeated."""
    plain, animated, options = drawn_from(1, 24, 4, 8, 8), animate(model, motion), WindowOptions(8, 2, freenoise=False)
    later = WindowOptions(12, 3, freenoise=False, start_percent=0.5, previous=(options,))
    hosts = [ContextWindowsManualNode.execute(m, 8, 2, "standard_static", 1, False, "pyramid", 0, shuffle).args[0] for m in (model, animated) for shuffle in (False, True)]
    windowed = [with_windows(model, options), with_windows(animated, replace(options, views=True)), with_windows(animated, later), *hosts]
    unset: dict[str, Any] = {"drawn": "together", "length": 0, "overlap": 0}
    for given in windowed:
        assert torch.equal(started_with(noised(given, "repeated", **unset)), plain[:8].repeat(3, 1, 1, 1))
        assert torch.equal(started_with(noised(given, "freenoise", **unset)), apply_freenoise(plain.clone(), 0, 8, 2, 1))
    before = with_windows(noised(animated, "repeated", **unset), options)
    assert torch.equal(started_with(before), plain[:8].repeat(3, 1, 1, 1))
    for kind in ("repeated", "freenoise"):
        assert torch.equal(started_with(noised(model, kind, **unset)), plain)
        assert torch.equal(started_with(noised(with_windows(model, WindowOptions(32, 4)), kind, **unset)), plain)


def test_noise_that_the_host_drew_is_kept(model) -> None:
    """Drawn together and not changed: also noise of frames that were picked from a batch, by their numbers in it."""
    picked = {"samples": torch.zeros(2, 4, 8, 8), "batch_index": [5, 3]}
    run = (1, 2, 3.0, "euler_ancestral", "normal", conditioning(1), conditioning(2), picked)
    wanted, got = (host_nodes.common_ksampler(m, *run)[0]["samples"] for m in (model, noised(model, drawn="together")))
    assert torch.equal(got, wanted)


@pytest.mark.parametrize("kind", ["constant", "empty"])
def test_steps_have_the_hosts_noise_unless_it_is_drawn_per_frame(model, kind: str) -> None:
    start = noise(4, kind=kind, drawn="together")
    run = (2, 3.0, "euler_ancestral", "normal", conditioning(1), conditioning(2), torch.zeros(4, 4, 8, 8))
    wanted = comfy.sample.sample(model, start, *run, seed=1)
    assert torch.equal(run_ksampler(noised(model, kind, drawn="together"), frames=4, sampler="euler_ancestral"), wanted)
    own = run_ksampler(noised(model, kind), frames=4, sampler="euler_ancestral")
    assert (own - own[0]).abs().max() < 1e-4 if kind == "constant" else not torch.equal(own, wanted)


def test_no_noise_at_the_start(model) -> None:
    assert not started_with(noised(model, "empty", shared=0.5)).any()
    both = with_free_init(noised(model, "empty"), FreeInit(iterations=2, temporal=0.0))
    assert (run_ksampler(both) - run_ksampler(noised(model, "empty"))).abs().max() < 1e-5, "fresh noise is none either"


@pytest.mark.parametrize("drawn", DRAWS)
def test_another_seed(model, drawn: str) -> None:
    assert torch.equal(started_with(noised(model, drawn=drawn, seed_offset=3)), started_with(noised(model, drawn=drawn), seed=4))
    other = noised(model, drawn=drawn, seed_offset=3, noise_seed=9)
    assert torch.equal(started_with(other), started_with(noised(model, drawn=drawn), seed=12))
    if drawn == "per frame":
        ways = (run_ksampler(other, sampler="euler_ancestral"), run_ksampler(noised(model), seed=12, sampler="euler_ancestral"))
        assert torch.equal(*ways)


def test_a_later_part_of_an_animation(model) -> None:
    """Drawn per frame, frames that follow 8 skipped ones are those of the whole animation, also under samplers that add noise."""
    for sampler in ("euler_ancestral", "dpmpp_2m_sde"):
        whole = run_ksampler(noised(model), frames=16, sampler=sampler)
        assert torch.equal(run_ksampler(noised(model, skip_frames=8), frames=8, sampler=sampler), whole[8:])


def test_noise_sockets_know_no_windows() -> None:
    with pytest.raises(ValueError, match="The kind repeated needs a length of at least 1 frame here, got 0"):
        FrameNoiseSource(1, FrameNoise("repeated", length=0))
    given = RandomFrameNoise.execute(3, "per frame", 0.0, 16, 4, "together", 2, 1).result[0]
    assert torch.equal(given.generate_noise({"samples": torch.zeros(4, 4, 5, 7)}), drawn_from(5, 5, 4, 5, 7)[1:])


def test_it_survives_clones_and_comes_before_or_after_the_module(model, other_motion) -> None:
    after = run_ksampler(noised(animate(model, other_motion)).clone())
    assert torch.equal(run_ksampler(animate(noised(model), other_motion)), after)
    assert not torch.equal(run_ksampler(animate(model, other_motion)), after)


# --- FreeInit --------------------------------------------------------------------------------------------------------


def naive_filter(frames: int, height: int, width: int, options: FreeInit) -> Tensor:
    """The formula, frequency by frequency."""
    out = torch.zeros(frames, height, width)
    for t in range(frames):
        for y in range(height):
            for x in range(width):
                square = (options.spatial / options.temporal * (2 * t / frames - 1)) ** 2
                square += (2 * y / height - 1) ** 2 + (2 * x / width - 1) ** 2
                out[t, y, x] = {
                    "butterworth": 1 / (1 + (square / options.spatial**2) ** options.order),
                    "gaussian": math.exp(-square / (2 * options.spatial**2)),
                    "ideal": float(square <= 2 * options.spatial),  # as the authors wrote it
                }[options.filter]
    return out


@pytest.mark.parametrize("kind", FILTERS)
def test_the_filter(kind: str) -> None:
    options = FreeInit(filter=kind, spatial=0.3, temporal=0.2)
    assert torch.allclose(low_pass((6, 8, 10), options), naive_filter(6, 8, 10, options), atol=1e-6)


def test_fresh_noise_of_iterations_is_drawn_in_the_same_way(model) -> None:
    """With a filter that keeps nothing, the second iteration starts from the noise of the next seed."""
    options = FreeInit(iterations=2, temporal=0.0)
    given = noised(with_free_init(model, options), "repeated", drawn="together", length=0)
    wanted = comfy_sample(with_windows(model, WindowOptions(8, 2, freenoise=False)), drawn_from(2, 16, 4, 8, 8)[:8].repeat(2, 1, 1, 1))
    got = run_ksampler(with_windows(given, WindowOptions(8, 2)))
    assert (got - wanted).norm() / wanted.norm() < 1e-4


@pytest.mark.parametrize("overlap", [4, 9, -1])
def test_freenoise_that_never_advances_is_refused(overlap: int) -> None:
    with pytest.raises(ValueError, match=rf"got overlap {overlap} and length 4. Use an overlap of about 1"):
        FrameNoise("freenoise", length=4, overlap=overlap)
    assert FrameNoise("repeated", length=4, overlap=overlap).length == 4


def test_the_ideal_filter_keeps_what_the_authors_keep() -> None:
    """187 of 1,024 frequencies at the defaults, in their code and in diffusers; 9 with the square of the cut-off."""
    assert low_pass((16, 8, 8), FreeInit(filter="ideal")).sum() == 187


def test_the_filter_is_fast() -> None:
    best = 1.0
    for _ in range(5):
        start = time.perf_counter()
        low_pass((96, 64, 64), FreeInit())
        best = min(best, time.perf_counter() - start)
    assert best < 0.02


def test_the_mixture_against_a_plain_transform() -> None:
    """Matrices of the discrete Fourier transform, one axis after another."""
    frames, size = 6, 8
    generator = torch.Generator().manual_seed(0)
    noisy, fresh = (torch.randn(frames, 4, size, size, generator=generator) for _ in range(2))
    filter_ = low_pass((frames, size, size), FreeInit())

    def matrix(n: int) -> Tensor:
        k = torch.arange(n, dtype=torch.float64)
        return torch.exp(-2j * math.pi * k[:, None] * k / n)

    def shifted(n: int) -> Tensor:
        return (torch.arange(n) - n // 2) % n  # centred index -> frequency

    def transform(x: Tensor) -> Tensor:
        return torch.einsum("at,by,cx,tiyx->aibc", matrix(frames), matrix(size), matrix(size), x.to(torch.complex128))

    keep = torch.zeros(frames, size, size, dtype=torch.float64)
    keep[shifted(frames)[:, None, None], shifted(size)[:, None], shifted(size)] = filter_.double()
    both = transform(noisy) * keep[:, None] + transform(fresh) * (1 - keep[:, None])
    back = torch.einsum("at,by,cx,tiyx->aibc", *(matrix(n).conj() / n for n in (frames, size, size)), both).real
    ours = reinitialized(noisy, fresh, filter_)
    assert (ours - back).norm() / back.norm() < 1e-5


def test_one_iteration_is_ordinary_sampling(model, other_motion) -> None:
    animated = animate(model, other_motion)
    assert torch.equal(run_ksampler(ApplyFreeInit.execute(animated, iterations=1).result[0]), run_ksampler(animated))


def test_two_iterations_against_the_formulas(model, other_motion) -> None:
    """Sample; noise the result; mix; sample from that, by the host's custom sampling."""
    animated, options = animate(model, other_motion), FreeInit(iterations=2)
    ours = run_ksampler(with_free_init(animated, options), steps=2, seed=1)
    first = run_ksampler(animated, steps=2, seed=1)
    start = torch.randn(16, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    sigma = float(animated.get_model_object("model_sampling").sigma_max)
    noisy = (animated.model.process_latent_in(first) + sigma * start) / (1 + sigma**2) ** 0.5
    mixed = reinitialized(noisy, initial_noise(start, 2, FrameNoise()), low_pass((16, 8, 8), options))
    sampled = comfy_sample(animated, mixed)
    assert (ours - sampled).norm() / sampled.norm() < 1e-5
    assert (ours - first).norm() / first.norm() > 1e-2


def comfy_sample(model: Any, given: Tensor) -> Tensor:
    latent = torch.zeros(16, 4, 8, 8)
    conds = (conditioning(1), conditioning(2))
    return comfy.sample.sample(model, given, 2, 3.0, "euler", "normal", *conds, latent, seed=1)


def test_one_progress_over_all_iterations(model, other_motion, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, preview, **_: told.append(value / total))
    windowed = animate(model, other_motion, WindowOptions(16, 4, freenoise=False))
    run_ksampler(with_free_init(windowed, FreeInit(iterations=3)), frames=24, steps=2)
    assert told == sorted(told) and told[-1] == 1 and len(set(told)) > 6


def test_both_at_once(model) -> None:
    """Frames keep their seeds in every iteration: with a filter that keeps nothing, the start is the same (to rounding)."""
    both = noised(with_free_init(model, FreeInit(iterations=2, temporal=0.0)))
    short, long = (run_ksampler(both, frames=frames, steps=2) for frames in (16, 24))
    assert (long[:16] - short).norm() / short.norm() < 1e-4
    plain = run_ksampler(noised(model), steps=2)
    assert (plain - short).norm() / short.norm() > 1e-2, "the second iteration has new noise"


def test_noise_for_custom_sampling_is_that_of_the_model(model) -> None:
    """A clip through SamplerCustomAdvanced with our NOISE is the KSampler clip of a MODEL with the same noise, bit for bit."""
    from comfy_extras.nodes_custom_sampler import Guider_Basic, SamplerCustomAdvanced

    options = FrameNoise("repeated", length=3, shared=0.2)
    wanted = run_ksampler(with_frame_noise(model, options), frames=8, cfg=1.0, seed=5)
    guider = Guider_Basic(model)
    guider.set_conds(conditioning(1))
    sampling = model.get_model_object("model_sampling")
    sigmas = comfy.samplers.calculate_sigmas(sampling, "normal", 2)
    latent = {"samples": torch.zeros(8, 4, 8, 8)}
    noise = FrameNoiseSource(5, options)
    got = SamplerCustomAdvanced.execute(noise, guider, comfy.samplers.sampler_object("euler"), sigmas, latent).args[0]["samples"]
    assert torch.equal(got, wanted) and noise.seed == 5
