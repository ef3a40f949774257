"""Exact temporal attention over long clips: time per frame from 16 to 128 frames.

The temporal blocks of a full-size v2 module (channels 320, 640, 1280, 1280 with the pixels they have at 256 x 256; time is
proportional to pixels), with 128 positions, random weights, fp32 on the CPU, fp16 on a GPU. Each length runs REPEATS times,
taking turns; the best counts. That memory does not grow with frames is `tests/unit/test_views.py`.

`python3 dev.py bench attention` runs this file.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from load import pack

LENGTHS = (16, 32, 64, 128)
SITES = ((320, 32, 5), (640, 16, 5), (1280, 8, 5), (1280, 4, 6))
"""Channels, side in latent pixels, and how many such blocks a v2 module has."""
REPEATS = 3
LIMIT = 1.10


def seconds(block: Any, x: Any, frames: int) -> float:
    """One run of a temporal block."""
    import torch

    start = time.perf_counter()
    block(x, frames)
    if x.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def per_frame() -> dict[int, float]:
    """Seconds per frame of all temporal blocks of one UNet call, by clip length."""
    import torch
    from animatediff_native.motion.config import MotionConfig
    from animatediff_native.motion.module import TemporalBlock
    from torch import nn

    device, dtype = ("cuda", torch.float16) if torch.cuda.is_available() else ("cpu", torch.float32)
    totals: dict[int, float] = dict.fromkeys(LENGTHS, 0.0)
    for channels, side, count in SITES:
        config = MotionConfig("v2", (channels,), has_mid=False, attention_blocks=2, positions=max(LENGTHS))
        block = TemporalBlock(channels, config, nn).eval()
        for tensor in (*block.parameters(), *block.buffers()):
            nn.init.normal_(tensor, std=0.02)
        block = block.to(device, dtype)
        best: dict[int, float] = dict.fromkeys(LENGTHS, float("inf"))
        with torch.inference_mode():
            for _ in range(REPEATS):
                for frames in LENGTHS:
                    x = torch.randn(frames, channels, side, side, device=device, dtype=dtype)
                    best[frames] = min(best[frames], seconds(block, x, frames) / frames)
        for frames, time_per_frame in best.items():
            totals[frames] += count * time_per_frame
    return totals


def begin(description: str | None, repeats: int) -> None:
    """Read the command line of a benchmark that keeps no files, make the pack importable, and say where it runs."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--folder", type=Path, help="where benchmarks keep files; this one has none")
    parser.parse_args()
    pack(Path(os.environ["COMFYUI_PATH"]))
    import torch

    where = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{platform.machine()}, {os.cpu_count()} cores"
    sys.stdout.write(f"{where}, torch {torch.__version__}, best of {repeats}\n")


def main() -> int:
    """Run it; 1 when the limit is broken."""
    begin(__doc__, REPEATS)
    totals = per_frame()
    for frames, total in totals.items():
        sys.stdout.write(f"{frames:4} frames: {total * 1000:.1f} ms per frame, {total / totals[LENGTHS[0]]:.3f} of 16 frames\n")
    kept = totals[LENGTHS[-1]] <= LIMIT * totals[LENGTHS[0]]
    sys.stdout.write(f"limit {LIMIT:.2f} of 16 frames: {'kept' if kept else 'BROKEN'}\n")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
