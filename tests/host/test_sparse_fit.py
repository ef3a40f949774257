"""A SparseCtrl model that was fitted to one picture brings its frame closer to it, sampled through the nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from animatediff_native.demo.tiny_sparse_control import sparse_control
from animatediff_native.demo.tiny_unet import SD15, unet
from animatediff_native.nodes.sparse_control import SparseCtrlApply
from animatediff_native.sampling.controls.sparse import SparseControl, load_sparse_control
from animatediff_tests.host.test_sparse_control import Encoder, clip
from animatediff_tests.tiny import conditioning, tiny_model
from safetensors.torch import save_file
from torch import Tensor

FRAMES, HINTED, SIDE = 2, 1, 8
LOUD = 12.0
"""Latents of the picture: louder than the noise that a tiny network leaves behind."""


class Loud(Encoder):
    """A VAE whose latents are the pixels' colours times LOUD, in the scale of the model."""

    def encode(self, pixels: Tensor) -> Tensor:
        return super().encode(pixels) / 0.18215 * LOUD


@pytest.fixture(scope="module")
def painter():
    """A MODEL that removes noise: the demo's UNet."""
    with torch.inference_mode(False):
        model = tiny_model()
        model.model.diffusion_model.load_state_dict(unet(SD15))
        model.model.requires_grad_(False)
        return model


def picture() -> Tensor:
    """Bright left, dark right: ``(1, 64, 64, 3)``."""
    image = torch.zeros(1, 64, 64, 3)
    image[:, :, :32] = 1
    return image


def fit(control: SparseControl, model: Any, target: Tensor, steps: int = 60) -> None:
    """Train the control until the model, with it, takes very noisy versions of ``target`` (1, 4, h, w) for it: what a frame
    shows is decided at the first steps of sampling."""
    network, sampling = control.control_model, model.model.model_sampling
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not name.endswith("pe"))
    optimizer = torch.optim.Adam([parameter for parameter in network.parameters() if parameter.requires_grad], 1e-3)
    generator = torch.Generator().manual_seed(0)
    hint = torch.zeros(FRAMES, 5, SIDE, SIDE)
    hint[HINTED] = torch.cat([target[0], torch.ones(1, SIDE, SIDE)])
    context = conditioning(1)[0][0].repeat(FRAMES, 1, 1)
    for _ in range(steps):
        sigma = sampling.sigmas[torch.randint(800, 1000, (1,), generator=generator)].repeat(FRAMES)
        x = target + sigma[:, None, None, None] * torch.randn(FRAMES, 4, SIDE, SIDE, generator=generator)
        residuals = network(sampling.calculate_input(sigma, x), hint, sampling.timestep(sigma), context, frames=FRAMES)
        denoised = model.model.apply_model(x, sigma, c_crossattn=context, control=residuals, transformer_options={})
        loss = (denoised[HINTED] - target[0]).square().mean() / (0.1 * sigma[0] ** 2 + LOUD**2 / 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.requires_grad_(False)


def test_a_fitted_control_pulls_its_frame(painter, tmp_path: Path) -> None:
    vae = Loud()
    with torch.inference_mode(False):
        save_file(sparse_control("rgb"), tmp_path / "rgb.safetensors")
        control = load_sparse_control(tmp_path / "rgb.safetensors")
        target = 0.18215 * vae.encode(picture())
        fit(control, painter, target)
    plain = (conditioning(1), conditioning(2))
    given = (*plain, control, picture(), 1.0, vae)

    def distances(conds: Any) -> Tensor:
        out = clip(painter, conds, frames=FRAMES, steps=8, cfg=1.0)
        return (out * 0.18215 - target).flatten(1).norm(dim=1)

    with_hint = distances(SparseCtrlApply.execute(*given, placement="indexes", frames=str(HINTED)).result)
    without = distances(plain)
    assert with_hint[HINTED] < 0.92 * without[HINTED]
    assert abs(with_hint[0] - without[0]) < 0.03 * without[0], "the other frame has no picture"
