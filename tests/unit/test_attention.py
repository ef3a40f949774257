"""The parts of a temporal block that hold no file: positions, attention along frames, tiles."""

from __future__ import annotations

import math

import pytest
import torch
from animatediff_native.motion import module
from animatediff_native.motion.attention import (
    PositionalEncoding,
    TemporalAttention,
    scaled_dot_product_attention,
    sinusoidal_positions,
)
from torch import nn

HEADS = 8


def attention(channels: int = 32, positions: int = 32) -> TemporalAttention:
    """Seeded weights, and the table that files bring."""
    torch.manual_seed(0)
    layer = TemporalAttention(channels, positions, nn).eval()
    layer.pos_encoder.pe.copy_(sinusoidal_positions(positions, channels))
    return layer


@pytest.mark.parametrize("channels", [32, 320])
def test_positions_follow_the_formula(channels: int) -> None:
    table = sinusoidal_positions(24, channels)
    assert table.shape == (1, 24, channels) and table.dtype == torch.float32
    for frame in (0, 1, 7, 23):
        for pair in (0, 1, channels // 4, channels // 2 - 1):
            angle = frame / 10000 ** (2 * pair / channels)
            assert table[0, frame, 2 * pair].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert table[0, frame, 2 * pair + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_longer_tables_begin_like_shorter_ones() -> None:
    assert torch.equal(sinusoidal_positions(32, 64)[:, :24], sinusoidal_positions(24, 64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_every_pixel_of_a_frame_gets_the_row_of_that_frame(dtype: torch.dtype) -> None:
    encoding = PositionalEncoding(32, 64)
    encoding.pe.copy_(sinusoidal_positions(32, 64))
    out = encoding(torch.zeros(2, 5, 3, 64, dtype=dtype))
    assert out.dtype == dtype
    assert torch.equal(out, sinusoidal_positions(32, 64)[:, :5, None].to(dtype).expand(2, 5, 3, 64))


@torch.inference_mode()
def test_attention_kernel_returns_heads_side_by_side() -> None:
    q, k, v = torch.randn(3, 2, HEADS, 5, 4, generator=torch.Generator().manual_seed(0))
    out = scaled_dot_product_attention(q, k, v, HEADS)
    assert out.shape == (2, 5, HEADS * 4)
    weights = (q[1, 3] @ k[1, 3].T / math.sqrt(4)).softmax(-1)
    assert torch.allclose(out[1, :, 12:16], weights @ v[1, 3], atol=1e-6)


@torch.inference_mode()
def test_pixels_and_clips_do_not_see_one_another() -> None:
    layer = attention()
    x = torch.randn(2, 16, 6, 32, generator=torch.Generator().manual_seed(1))
    out = layer(x, scaled_dot_product_attention)
    assert out.shape == x.shape
    x[1, :, 4] += 5.0
    moved = (layer(x, scaled_dot_product_attention) - out).abs().amax((1, 3)) > 1e-4
    assert moved.nonzero().tolist() == [[1, 4]]


@torch.inference_mode()
def test_frames_see_one_another_and_their_order() -> None:
    layer = attention()
    x = torch.randn(1, 16, 1, 32, generator=torch.Generator().manual_seed(1))
    out = layer(x, scaled_dot_product_attention)
    reversed_out = layer(x.flip(1), scaled_dot_product_attention).flip(1)
    assert (reversed_out - out).norm() / out.norm() > 0.01, "positions make no difference"
    x[:, 15] += 1.0
    assert (layer(x, scaled_dot_product_attention) - out)[:, 0].abs().max() > 1e-4, "frame 0 does not see frame 15"


@torch.inference_mode()
def test_scale_multiplies_the_logits() -> None:
    """At scale 0 every frame weighs the same, so all frames come out equal; None is 1."""
    layer = attention()
    x = torch.randn(1, 16, 2, 32, generator=torch.Generator().manual_seed(1))
    even = layer(x, scaled_dot_product_attention, torch.tensor(0.0))
    assert torch.allclose(even, even[:, :1].expand_as(even), atol=1e-6)
    one = layer(x, scaled_dot_product_attention, torch.tensor(1.0))
    assert torch.equal(one, layer(x, scaled_dot_product_attention))


@pytest.mark.parametrize(
    ("tokens_per_pixel", "channels", "device", "pixels"),
    [
        (32, 320, "cpu", 6 * 320 // 32),
        (32, 1280, "cpu", 6 * 1280 // 32),
        (4096, 32, "cpu", 1),  # more tokens than a tile holds: still one pixel
        (1, 1_000_000, "cpu", 4096),  # the limit on attention rows
        (32, 320, "meta", 1024),
        (32, 1280, "meta", 1024),
        (1, 320, "meta", 4096),
    ],
)
def test_tiles(tokens_per_pixel: int, channels: int, device: str, pixels: int) -> None:
    assert module.tile_pixels(tokens_per_pixel, channels, torch.device(device)) == pixels
    assert pixels * HEADS <= module.MAX_ATTENTION_ROWS
