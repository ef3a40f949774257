"""Make one clip in a process of its own, with ComfyUI set up as its own main program does it (dynamic VRAM included).

``python clip.py FOLDER NAME SIDE STEPS [flags of ComfyUI]``: writes seeded random full-size SD1.5 weights and a v2 motion
module into FOLDER on the first call, samples 16 frames of SIDE x SIDE latents, and leaves NAME.pt and NAME.json there.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def host(flags: list[str]) -> None:
    """Import ComfyUI's main module, which parses flags and chooses its memory management, without starting a server."""
    sys.argv = ["main.py", "--disable-all-custom-nodes", "--disable-api-nodes", *flags]
    sys.path[0] = os.environ["COMFYUI_PATH"]
    import main  # noqa: F401


def write_unet(path: Path) -> None:
    """The UNet of SD1.5 with random fp16 weights, under the host's key names."""
    import comfy.ops
    import torch
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
    from safetensors.torch import save_file

    layout = {"image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 320, "num_res_blocks": [2] * 4}
    layout |= {"channel_mult": (1, 2, 4, 4), "num_heads": 8, "use_spatial_transformer": True, "context_dim": 768}
    layout |= {"transformer_depth": [1] * 6 + [0, 0], "transformer_depth_output": [1] * 9 + [0] * 3}
    unet = UNetModel(**layout, transformer_depth_middle=1, legacy=False, device="meta", operations=comfy.ops.disable_weight_init)
    generator = torch.Generator().manual_seed(0)
    state = {}
    for key, tensor in unet.state_dict().items():
        if tensor.ndim == 1:
            state[key] = torch.full(tensor.shape, float(key.endswith("weight")), dtype=torch.float16)
        else:
            scale = 0.5 / tensor[0].numel() ** 0.5
            state[key] = (torch.randn(tensor.shape, generator=generator) * scale).half()
    save_file(state, path)


def write_motion(path: Path) -> None:
    """A full-size v2 motion module with random fp16 weights."""
    import torch
    from animatediff_native.demo import synthetic
    from safetensors.torch import save_file

    channels = (320, 640, 1280, 1280)
    save_file(synthetic.motion_module(channels=channels, mid=True, positions=32, seed=1, dtype=torch.float16), path)


def sample(folder: Path, side: int, steps: int, motion: bool) -> tuple[object, float]:
    """The latents of a clip, and seconds per step."""
    import comfy.sd
    import torch
    from animatediff_native.sampling.modules.load import load_motion_module
    from animatediff_native.sampling.run.animate import animate

    import nodes

    with torch.inference_mode():
        model = comfy.sd.load_diffusion_model(str(folder / "unet.safetensors"))
        if motion:
            model = animate(model, load_motion_module(folder / "motion.safetensors"))
        prompts = [[[torch.randn(1, 77, 768, generator=torch.Generator().manual_seed(seed)), {}]] for seed in (1, 2)]
        latent = {"samples": torch.zeros(16, 4, side, side)}
        start = time.perf_counter()
        clip = nodes.common_ksampler(model, 1, steps, 3.0, "euler", "normal", *prompts, latent)[0]["samples"]
        return clip, (time.perf_counter() - start) / steps


def run(folder: Path, name: str, side: int, steps: int) -> None:
    """Write what is missing, sample with and without motion, and leave the results."""
    import comfy.memory_management
    import comfy.model_management
    import torch

    for file, write in (("unet.safetensors", write_unet), ("motion.safetensors", write_motion)):
        if not (folder / file).exists():
            write(folder / file)
    sample(folder, side, 1, True)  # the first run also loads and warms up
    cuda = torch.cuda.is_available() and not comfy.model_management.cpu_mode()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    clip, seconds = sample(folder, side, steps, True)
    peak = torch.cuda.max_memory_allocated() if cuda else 0
    plain, plain_seconds = sample(folder, side, steps, False)
    torch.save({"clip": clip, "plain": plain}, folder / f"{name}.pt")
    device = torch.cuda.get_device_name() if cuda else "cpu"
    figures = {"device": device, "dynamic_vram": comfy.memory_management.aimdo_enabled, "torch": torch.__version__}
    figures |= {"seconds_per_step": seconds, "plain_seconds_per_step": plain_seconds, "peak_bytes": peak}
    (folder / f"{name}.json").write_text(json.dumps(figures), encoding="utf-8")


def load_pack() -> None:
    """Make the pack importable as animatediff_native."""
    import importlib.util

    init = ROOT / "__init__.py"
    spec = importlib.util.spec_from_file_location("animatediff_native", init, submodule_search_locations=[str(ROOT)])
    module = importlib.util.module_from_spec(spec)
    sys.modules["animatediff_native"] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    target, label, size, count, *rest = sys.argv[1:]
    host(rest)
    load_pack()
    run(Path(target), label, int(size), int(count))
