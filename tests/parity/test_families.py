"""One whole sampling step per family, with its norms and its noise schedule, against a naive reference.

The reference starts from the authors' betas in float64, computes input, timestep and prediction by the textbook, and
runs the host's UNet with hooks that recompute norms and add temporal blocks from plain formulas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import comfy.sample
import pytest
import torch
from animatediff_native.demo import synthetic
from animatediff_native.motion.config import Overrides
from animatediff_native.sampling.modules.load import load_motion_module
from animatediff_native.sampling.modules.settings import config_of
from animatediff_native.sampling.run.animate import animate
from animatediff_native.sampling.windows.options import WindowOptions
from animatediff_tests.parity.test_reference import distance, hooked
from animatediff_tests.tiny import run_ksampler, tiny_model, tiny_sdxl_model
from torch import Tensor, nn

SD15, SDXL = (32, 64, 128, 128), (32, 64, 128)


@dataclass(frozen=True)
class Authors:
    """How a family was trained, written down a second time, from the authors' code."""

    mid: bool
    positions: int | None
    channels: tuple[int, ...] = SD15
    unet_norms: bool = False
    motion_norm: bool = False
    curve: str = "linear"
    end: float = 0.012
    lcm_steps: int = 0
    extra: str = ""
    length: int = 16


FAMILIES = {
    "v1": Authors(False, 24, unet_norms=True),
    "v2": Authors(True, 32),
    "v3": Authors(False, 32),
    "lightning": Authors(True, 32),
    "lcm": Authors(True, None, lcm_steps=100),
    "i2v": Authors(True, None, lcm_steps=200, end=0.014, extra="img_encoder.conv_in.weight"),
    "long32": Authors(True, 64, length=32),
    "long64": Authors(True, 128, length=24),
    "pia": Authors(False, 32, unet_norms=True, extra="conv_in.weight"),
    "sdxl": Authors(False, 32, SDXL, motion_norm=True, curve="scaled_linear", end=0.020),
    "hotshot": Authors(False, 24, SDXL, unet_norms=True, curve="scaled_linear", length=8),
}


def sigmas_of(authors: Authors) -> Tensor:
    """Noise level of each of the 1000 training steps, float64."""
    start, end = 0.00085, authors.end
    if authors.curve == "linear":
        betas = torch.linspace(start, end, 1000, dtype=torch.float64)
    else:
        betas = torch.linspace(start**0.5, end**0.5, 1000, dtype=torch.float64) ** 2
    products = torch.cumprod(1 - betas, 0)
    return ((1 - products) / products).sqrt()


def whole_clip_norm(norm: nn.GroupNorm, x: Tensor, frames: int) -> Tensor:
    """Group norm with statistics over all frames of ``(B·F, C, H, W)``."""
    bf, c, h, w = x.shape
    groups = x.double().reshape(bf // frames, frames, norm.num_groups, c // norm.num_groups, h, w)
    mean = groups.mean((1, 3, 4, 5), keepdim=True)
    var = ((groups - mean) ** 2).mean((1, 3, 4, 5), keepdim=True)
    normed = ((groups - mean) / (var + norm.eps).sqrt()).reshape(x.shape).to(x.dtype)
    return normed * norm.weight[:, None, None] + norm.bias[:, None, None]


def hooked_norms(unet: Any, frames: int) -> list[Any]:
    """Replace what the norms of residual blocks and output return."""
    norms = [m for name, m in unet.named_modules() if name.endswith(("in_layers.0", "out_layers.0")) or name == "out.0"]
    assert all(isinstance(norm, nn.GroupNorm) for norm in norms)
    return [norm.register_forward_hook(lambda m, args, _: whole_clip_norm(m, args[0], frames)) for norm in norms]


def noise_prediction(unet: Any, x: Tensor, timestep: int, call: dict[str, Any], state: Any, authors: Authors) -> Tensor:
    """What the family's UNet makes of a scaled latent, by the reference."""
    frames = x.shape[0]
    handles = hooked(unet, state, frames, pooled=authors.motion_norm)
    handles += hooked_norms(unet, frames) if authors.unet_norms else []
    try:
        t = torch.full((frames,), timestep)
        y = None if call["y"] is None else call["y"][:1].expand(frames, -1)
        return unet(x, t, context=call["context"][:1].expand(frames, -1, -1), y=y, transformer_options={})
    finally:
        for handle in handles:
            handle.remove()


def reference_step(model: Any, call: dict[str, Any], state: Any, authors: Authors, windows: list[range]) -> Tensor:
    """From noise to the denoised clip in one step, cfg 1; windows that overlap are averaged."""
    frames = windows[-1].stop
    sigma = sigmas_of(authors)[999]
    noise = comfy.sample.prepare_noise(torch.zeros(frames, 4, 8, 8), 1)
    x = noise.double() * (1 + sigma**2).sqrt()
    total, count = torch.zeros_like(x), torch.zeros(frames, 1, 1, 1)
    for window in windows:
        scaled = (x[list(window)] / (1 + sigma**2).sqrt()).float()
        eps = noise_prediction(model.model.diffusion_model, scaled, 999, call, state, authors)
        total[list(window)] += x[list(window)] - sigma * eps.double()
        count[list(window)] += 1
    denoised = total / count
    if authors.lcm_steps:
        c_skip = 0.25 / (9990.0**2 + 0.25)
        c_out = 9990.0 / (9990.0**2 + 0.25) ** 0.5
        denoised = c_out * denoised + c_skip * x
    return denoised / model.model.latent_format.scale_factor


def motion_file(folder: Any, family: str) -> tuple[Any, dict[str, Tensor]]:
    """A file of the family, in its authors' spelling, and its tensors in the original one."""
    authors = FAMILIES[family]
    state = synthetic.motion_module(channels=authors.channels, mid=authors.mid, positions=authors.positions, seed=1)
    stored = dict(state)
    if family == "hotshot":
        stored = {
            key.replace("motion_modules", "temporal_attentions").replace(".temporal_transformer", "").replace(
                "pos_encoder.pe", "pos_encoder.positional_encoding"): t for key, t in state.items()
        }  # fmt: skip
    if authors.extra:
        stored[authors.extra] = torch.zeros(32, 9, 3, 3)
    path = folder / f"{family}_4step.ckpt"
    torch.save(stored, path)
    return path, state


def model_of(authors: Authors) -> Any:
    return tiny_model() if authors.channels == SD15 else tiny_sdxl_model()


@pytest.mark.parametrize("windowed", [False, True], ids=["whole", "windows"])
@pytest.mark.parametrize("family", FAMILIES)
@torch.inference_mode()
def test_whole_step(family: str, windowed: bool, tmp_path: Any) -> None:
    authors = FAMILIES[family]
    path, state = motion_file(tmp_path, family)
    motion = load_motion_module(path)
    assert config_of(motion).family == family
    model, length = model_of(authors), authors.length
    overlap = length // 4
    windows = [range(length), range(length - overlap, 2 * length - overlap)] if windowed else [range(length)]
    options = WindowOptions(length, overlap, fuse="flat", freenoise=False) if windowed else None
    calls = []
    unet = model.model.diffusion_model
    keep = unet.register_forward_hook(lambda _m, args, kw, _o: calls.append((args, kw)), with_kwargs=True)
    got = run_ksampler(animate(model, motion, options), frames=windows[-1].stop, steps=1, cfg=1.0)
    keep.remove()
    assert len(calls) == len(windows)
    args, kwargs = calls[0]
    assert args[1].unique().tolist() == [999]
    call = {"context": kwargs["context"], "y": kwargs.get("y")}
    wanted = reference_step(model, call, state, authors, windows)
    assert distance(got, wanted) < 1e-5
    if authors.unet_norms or authors.motion_norm:
        per_frame = animate(model, load_motion_module(path, Overrides(norm_scope="per_frame")), options)
        other = run_ksampler(per_frame, frames=windows[-1].stop, steps=1, cfg=1.0)
        assert distance(other, wanted) > 1e-3, "the test cannot see norm scopes"
