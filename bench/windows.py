"""What context windows cost by themselves: choosing, cutting, fusing and bookkeeping, without the UNet.

A clip of 128 frames, 512 x 512, in windows of 16, with a prompt, a mask, an inpaint picture and a ControlNet hint per frame,
20 steps. The UNet is replaced by a function that returns a tensor made beforehand, so all that is left is ours and the
host's handling. The time is compared with that of a real UNet of full size, random weights, on the same machine: one
evaluation of one frame for both conds, times 16 frames and the number of windows; motion module and ControlNet left out,
which would only make a step longer.

`python3 dev.py bench windows` runs this file.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from load import pack

FRAMES, LENGTH, STEPS, SIZE = 128, 16, 20, 64
LIMIT = 0.02


def conditioning(model: Any) -> list[list[dict[str, Any]]]:
    """Positive and negative as the host hands them to the handler."""
    import comfy.conds
    import comfy.controlnet
    import torch

    control = comfy.controlnet.ControlNet(torch.nn.Linear(1, 1), load_device=torch.device("cpu"))
    control.set_cond_hint(torch.rand(FRAMES, 3, 640, 640), 1.0, (0.0, 1.0))

    def cond() -> dict[str, Any]:
        per_frame = {
            "c_crossattn": comfy.conds.CONDCrossAttn(torch.zeros(FRAMES, 77, 768)),
            "c_concat": comfy.conds.CONDNoiseShape(torch.zeros(FRAMES, 5, SIZE, SIZE)),
        }
        return {"model_conds": per_frame, "control": control, "mask": torch.ones(FRAMES, SIZE, SIZE), "uuid": 0}

    return [[cond()], [cond()]]


def windows_seconds(schedule: str, fuse: str) -> tuple[float, float, int]:
    """Seconds of the first step and of a step on average, and windows per step."""
    import logging
    from types import SimpleNamespace

    import torch
    from animatediff_native.sampling.windows.handler import FrameWindows
    from animatediff_native.sampling.windows.options import WindowOptions

    logging.disable(logging.INFO)
    handler = FrameWindows(WindowOptions(LENGTH, 4, schedule, fuse))
    latent_format = SimpleNamespace(temporal_downscale_ratio=1)
    model = SimpleNamespace(latent_format=latent_format, resize_cond_for_context_window=lambda *_, **__: None)
    conds, x = conditioning(model), torch.randn(FRAMES, 4, SIZE, SIZE)
    sigmas = torch.linspace(14, 0, STEPS + 1)
    out = torch.randn(LENGTH, 4, SIZE, SIZE)
    calls: list[int] = []

    def evaluate(*_: Any) -> list[Any]:
        calls.append(1)
        return [out, out]

    times = []
    for step in range(STEPS):
        options = {"transformer_options": {"sample_sigmas": sigmas}}
        start = time.perf_counter()
        handler.execute(evaluate, model, conds, x, sigmas[step].expand(FRAMES), options)
        times.append(time.perf_counter() - start)
    return times[0], statistics.mean(times), len(calls) // STEPS


def unet_seconds() -> float:
    """One evaluation of one frame, both conds, by a full-size SD1.5 UNet."""
    import comfy.ops
    import comfy.supported_models
    import torch
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    layout = {
        "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 320, "num_res_blocks": [2, 2, 2, 2],
        "channel_mult": (1, 2, 4, 4), "num_heads": 8, "use_spatial_transformer": True, "context_dim": 768,
        "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0], "transformer_depth_output": [1] * 9 + [0] * 3,
        "transformer_depth_middle": 1, "legacy": False, "use_linear_in_transformer": False, "dtype": torch.float32,
    }  # fmt: skip
    unet = UNetModel(**layout, operations=comfy.ops.disable_weight_init).eval()
    for parameter in unet.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    x, t, text = torch.randn(2, 4, SIZE, SIZE), torch.full((2,), 500.0), torch.randn(2, 77, 768)
    times = []
    with torch.inference_mode():
        for _ in range(3):
            start = time.perf_counter()
            unet(x, t, context=text, transformer_options={})
            times.append(time.perf_counter() - start)
    return min(times)


def main() -> int:
    """Read the command line; 1 when the limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where benchmarks keep files; this one has none")
    parser.parse_args()
    pack(Path(os.environ["COMFYUI_PATH"]))
    import torch

    sys.stdout.write(f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, {FRAMES} frames 512 x 512\n")
    frame = unet_seconds()
    sys.stdout.write(f"UNet, one frame, both conds: {frame:.2f} s (best of 3)\n")
    worst = 0.0
    for schedule, fuse in (("standard_static", "pyramid"), ("standard_static", "relative"), ("standard_uniform", "pyramid")):
        first, mean, windows = windows_seconds(schedule, fuse)
        share = mean / (frame * LENGTH * windows)
        worst = max(worst, share)
        sys.stdout.write(
            f"{schedule}, {fuse}: {windows} windows, {mean * 1000:.1f} ms per step over {STEPS} steps (first {first * 1000:.0f} "
            f"ms), {share:.4%} of a step; under {LIMIT:.0%} wherever a step takes over {mean / LIMIT:.2f} s\n"
        )
    sys.stdout.write(f"limit {LIMIT:.0%} of a step: {'kept' if worst <= LIMIT else 'BROKEN'}\n")
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
