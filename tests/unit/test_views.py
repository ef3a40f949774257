"""Views and tiles: the temporal attention in pieces gives what it gives at once, and takes no more memory for more frames."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from animatediff_native.motion.attention import scaled_dot_product_attention, sinusoidal_positions
from animatediff_native.motion.config import MotionConfig
from animatediff_native.motion.module import Modulation, TemporalBlock
from animatediff_native.motion.views import Views, views_over
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CHANNELS = 32


def block(positions: int = 128, channels: int = CHANNELS) -> TemporalBlock:
    """A temporal block with random weights and 128 positions."""
    torch.manual_seed(0)
    config = MotionConfig("v2", (channels,), has_mid=False, attention_blocks=2, positions=positions)
    made = TemporalBlock(channels, config, nn).eval().requires_grad_(False)
    for name, buffer in made.named_buffers():
        assert name.endswith("pe")
        buffer.copy_(sinusoidal_positions(positions, channels))
    return made


def clip(frames: int, conds: int = 2, channels: int = CHANNELS, size: int = 6) -> Tensor:
    return torch.randn(conds * frames, channels, size, size, generator=torch.Generator().manual_seed(1))


def run(made: TemporalBlock, x: Tensor, frames: int, views: Views | None = None) -> Tensor:
    with torch.inference_mode():
        return made(x, frames, views=views)


def difference(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


def test_one_view_of_the_whole_clip_is_no_view() -> None:
    made, x = block(), clip(24)
    views = views_over([list(range(24))], [[1.0] * 24], 24)
    assert difference(run(made, x, 24, views), run(made, x, 24)) < 1e-5


def test_equal_views_of_the_whole_clip_are_no_view() -> None:
    """Three windows, all the whole clip, with unequal weights: an average of equals."""
    made, x = block(), clip(20)
    views = views_over([list(range(20))] * 3, [[1.0] * 20, [2.0] * 20, [0.5] * 20], 20)
    assert views.sources.shape == (20, 3)
    assert difference(run(made, x, 20, views), run(made, x, 20)) < 1e-5


@pytest.mark.parametrize("frames", [1, 16, 40, 128])
def test_tiles_change_nothing(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made, x = block(), clip(frames)
    whole = run(made, x, frames)
    monkeypatch.setattr("animatediff_native.motion.module.TOKENS_PER_CHANNEL", 2)
    assert difference(run(made, x, frames), whole) < 1e-5


def test_views_against_a_plain_loop() -> None:
    """Each window attended by itself, weighted and averaged frame by frame, the feed forward after it."""
    made, x, frames = block(16), clip(20, conds=1), 20
    windows, rows = [list(range(16)), list(range(4, 20)), [*range(12, 20), *range(8)]], [[1.0] * 16, [3.0] * 16, [0.5] * 16]
    transformer = made.temporal_transformer
    inner = transformer.transformer_blocks[0]
    with torch.inference_mode():
        tokens = transformer.proj_in(transformer.norm(x).flatten(2).transpose(1, 2)).unflatten(0, (1, frames))
        total, weight = torch.zeros_like(tokens), torch.zeros(frames)
        for window, row in zip(windows, rows, strict=True):
            part = inner.attend(tokens[:, window], scaled_dot_product_attention, Modulation())
            for position, frame in enumerate(window):
                total[:, frame] += row[position] * part[:, position]
                weight[frame] += row[position]
        mixed = total / weight[:, None, None]
        out = transformer.proj_out(mixed + inner.ff(inner.ff_norm(mixed))).flatten(0, 1).transpose(1, 2)
    wanted = x + out.unflatten(2, x.shape[2:])
    assert difference(run(made, x, frames, views_over(windows, rows, frames)), wanted) < 1e-5


def test_a_clip_longer_than_the_positions() -> None:
    made, x = block(16), clip(40)
    windows = [list(range(start, start + 16)) for start in (0, 12, 24)]
    out = run(made, x, 40, views_over(windows, [[1.0] * 16] * 3, 40))
    assert torch.isfinite(out).all() and out.shape == x.shape
    with pytest.raises(RuntimeError):
        run(made, x, 40)


def test_conds_do_not_mix() -> None:
    made, x = block(16), clip(24)
    views = views_over([list(range(16)), list(range(8, 24))], [[1.0] * 16] * 2, 24)
    both = run(made, x, 24, views)
    assert difference(both[24:], run(made, x[24:], 24, views)) < 1e-5


def test_a_frame_left_out_is_named() -> None:
    with pytest.raises(ValueError, match="leave out frame 2 of 5"):
        views_over([[0, 1], [3, 4]], [[1.0, 1.0]] * 2, 5)


# --- memory ----------------------------------------------------------------------------------------------------------


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of the storages that operations make, and the most that were alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def _gone(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            storage = tensor.untyped_storage() if isinstance(tensor, Tensor) else None
            if storage is not None and storage._cdata not in given | self.known:
                key, size = storage._cdata, storage.nbytes()
                self.known.add(key)
                self.now += size
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._gone, key, size)
        return out


def working_bytes(frames: int, views: Views | None = None) -> int:
    """Bytes that a temporal block needs at most beside what it is given and what it returns."""
    made, x = block(channels=64), clip(frames, channels=64, size=16)
    with torch.no_grad(), LiveBytes() as live:
        out = made(x, frames, modulation=Modulation(), views=views)
    return live.peak - out.untyped_storage().nbytes()


def test_memory_does_not_grow_with_frames() -> None:
    """Exact attention over 128 frames works in the memory of 16."""
    few, many = working_bytes(16), working_bytes(128)
    assert few > 0
    assert many <= 1.2 * few


def test_memory_of_views() -> None:
    windows = [list(range(start, start + 16)) for start in (*range(0, 112, 12), 112)]
    assert working_bytes(128, views_over(windows, [[1.0] * 16] * len(windows), 128)) <= 1.2 * working_bytes(16)
