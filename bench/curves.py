"""What values over time cost: the temporal blocks with a plain number, with a value per frame or region, and with motion LoRAs.

The temporal blocks of a full-size v2 module (those of ``attention.py``) on 16 frames, and a motion LoRA of rank 64 on all
attention projections, merged (which is the plain module) or with a curve for its strength. fp32 on the CPU, fp16 on a GPU.
Each kind runs REPEATS times, taking turns; the best counts. Beside it: reading a long schedule and laying it out.

`python3 dev.py bench curves` runs this file.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from attention import SITES, begin

FRAMES = 16
RANK = 64
REPEATS = 5
LIMITS = {"value per frame": 1.05, "value per region": 1.10, "LoRA with a curve": 1.35, "two LoRAs with curves": 1.70}
PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")


def kinds(block: Any, channels: int, side: int, device: str, dtype: Any) -> dict[str, Any]:
    """The modulations to compare."""
    import torch
    from animatediff_native.motion.low_rank import Changes, LowRank
    from animatediff_native.motion.module import Modulation

    layers = {}
    for attention in block.temporal_transformer.transformer_blocks[0].attention_blocks:
        for name in PROJECTIONS:
            layers[attention.get_submodule(name)] = LowRank(channels, RANK, channels).to(device, dtype)
    ramp = torch.linspace(0.5, 1.5, FRAMES, device=device).view(-1, 1, 1, 1)
    regions = ramp.expand(-1, 1, side, side).contiguous()
    return {
        "plain": Modulation(),
        "value per frame": Modulation(ramp, ramp),
        "value per region": Modulation(regions, regions),
        "LoRA with a curve": Modulation(None, None, Changes((layers,), (ramp,))),
        "two LoRAs with curves": Modulation(None, None, Changes((layers, layers), (ramp, ramp))),
    }


def totals() -> dict[str, float]:
    """Seconds of all temporal blocks of one UNet call, by kind."""
    import torch
    from animatediff_native.motion.attention import scaled_dot_product_attention
    from animatediff_native.motion.config import MotionConfig
    from animatediff_native.motion.module import TemporalBlock
    from torch import nn

    device, dtype = ("cuda", torch.float16) if torch.cuda.is_available() else ("cpu", torch.float32)
    summed: dict[str, float] = {}
    for channels, side, count in SITES:
        config = MotionConfig("v2", (channels,), has_mid=False, attention_blocks=2, positions=32)
        block = TemporalBlock(channels, config, nn).eval().to(device, dtype)
        for buffer in block.buffers():
            nn.init.zeros_(buffer)
        x = torch.randn(FRAMES, channels, side, side, device=device, dtype=dtype)
        best: dict[str, float] = {}
        with torch.inference_mode():
            compared = kinds(block, channels, side, device, dtype)
            for _ in range(REPEATS):
                for kind, modulation in compared.items():
                    start = time.perf_counter()
                    block(x, FRAMES, scaled_dot_product_attention, modulation)
                    if x.is_cuda:
                        torch.cuda.synchronize()
                    best[kind] = min(best.get(kind, float("inf")), time.perf_counter() - start)
        for kind, taken in best.items():
            summed[kind] = summed.get(kind, 0.0) + count * taken
    return summed


def reading() -> tuple[float, float]:
    """Seconds to read a schedule of 500 prompts, and to say what holds in each of 4,000 frames."""
    from animatediff_native.sampling.prompts.plan import TravelOptions, plan

    text = "\n".join(f'"{8 * i}": "a scene number {i}, highly detailed",' for i in range(500))
    start = time.perf_counter()
    plan(text, 1, TravelOptions())
    read = time.perf_counter() - start
    start = time.perf_counter()
    plan(text, 4000, TravelOptions())
    return read, time.perf_counter() - start - read


def main() -> int:
    """Run it; 1 when a limit is broken."""
    begin(__doc__, REPEATS)
    taken = totals()
    kept = True
    for kind, seconds in taken.items():
        share, limit = seconds / taken["plain"], LIMITS.get(kind, 1.0)
        kept &= share <= limit
        sys.stdout.write(f"{kind:22}: {seconds * 1000:8.1f} ms, {share:.3f} of plain (limit {limit:.2f})\n")
    read, laid_out = reading()
    sys.stdout.write(f"500 prompts: {read * 1000:.1f} ms to read, {laid_out * 1000:.1f} ms for 4,000 frames\n")
    sys.stdout.write(f"limits {'kept' if kept else 'BROKEN'}\n")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
