"""Noise that belongs to frames, for every kind of sampler, and FreeInit against its formulas."""

from __future__ import annotations

import math
import time
from typing import Any

import comfy.samplers
import comfy.utils
import pytest
import torch
from animatediff_native.nodes.noise import ApplyFrameNoise, ApplyFreeInit
from animatediff_native.sampling.run.animate import animate
from animatediff_native.sampling.run.start import with_frame_noise, with_free_init
from animatediff_native.sampling.start.free_init import FILTERS, FreeInit, low_pass, reinitialized
from animatediff_native.sampling.start.noise import FrameNoise, FrameNoiseSource, frame_seeds, initial_noise
from animatediff_native.sampling.windows.options import WindowOptions
from animatediff_tests.tiny import conditioning, run_ksampler
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
    import comfy.sample

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
