"""Memory of training at real SD1.5 sizes, on paper: no device is needed, and none is used.

The host's UNet and a motion module in their real sizes are run on the meta device, where tensors have shapes and no numbers, and what
autograd keeps for the gradients is counted, each storage once and weights not at all. The image model is fp16, trained weights are fp32,
attention keeps what flash attention keeps. Added are weights, gradients and AdamW's two moments. With gradient checkpointing the inputs of
all layers are kept, and all of one layer at a time. One clip at a time is what batches of any size take.

A card needs MARGIN more: the driver's context, buffers of the convolutions, the passing memory of the backward pass.

`python3 dev.py bench training` runs this file.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from load import pack

FRAMES, RANK = 16, 64
PICTURES, ADAPTER_RANK = 4, 128  # of the domain adapter, which is trained on single frames
SIZES = (256, 384, 512)
CARDS = (8, 12, 24)
MARGIN = 1.5
GIB = 1024**3
UNET = {
    "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 320, "num_res_blocks": [2, 2, 2, 2], "channel_mult": (1, 2, 4, 4),
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0], "transformer_depth_output": [1] * 9 + [0] * 3, "transformer_depth_middle": 1,
    "context_dim": 768, "num_heads": 8, "use_spatial_transformer": True, "use_linear_in_transformer": False, "legacy": False,
}  # fmt: skip


class Counter:
    """Bytes of the storages that autograd keeps, weights left out."""

    def __init__(self, weights: set[int]) -> None:
        self.weights, self.kept = weights, {}

    def add(self, tensor: Any) -> None:
        storage = tensor.untyped_storage()
        if storage._cdata not in self.weights:
            self.kept[storage._cdata] = storage  # held, so that its address is not given to another

    @property
    def size(self) -> int:
        return sum(storage.nbytes() for storage in self.kept.values())

    @contextmanager
    def counting(self) -> Any:
        import torch

        def pack_(tensor: Any) -> Any:
            self.add(tensor)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack_, lambda tensor: tensor):
            yield


def flash(*args: Any, **kw: Any) -> Any:
    """Attention that keeps q, k, v and its output, as flash attention does."""
    import torch

    class Flash(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, q: Any, k: Any, v: Any, heads: int, split: bool) -> Any:
            out = torch.empty_like(q) if not split else q.new_empty(q.shape[0], q.shape[2], q.shape[1] * q.shape[3])
            ctx.save_for_backward(q, k, v, out)
            return out

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            raise NotImplementedError

    _, q, k, v, heads, *_ = args
    return Flash.apply(q, k, v, heads, bool(kw.get("skip_reshape")))


def activations(unet: Any, sites: dict[Any, Callable[[Any], Any]], shape: tuple[int, ...], trained: Any, checkpointing: bool) -> int:
    """Bytes kept for the gradients of one model call."""
    import torch
    from animatediff_native.sampling.run.layers import LAYER_PATCH, LAYERS, find_anchors
    from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock

    anchors = find_anchors(unet)
    weights = {p.untyped_storage()._cdata for p in [*unet.parameters(), *trained]}
    outer, largest = Counter(weights), [0]

    def layer(block: Any, x: Any, emb: Any, context: Any, options: Any, *_: Any) -> Any:
        parts: list[Callable[[Any], Any]] = [lambda x: block(x, emb) if isinstance(block, ResBlock) else block(x, context, options)]
        if options["block"] in sites and isinstance(block, anchors[options["block"]][0]):
            parts.append(sites[options["block"]])
        for part in parts:
            if not checkpointing or not (x.requires_grad or part is not parts[0]):
                x = part(x)
                continue
            outer.add(x)
            inner = Counter(weights)
            with inner.counting():
                x = part(x)
            largest[0] = max(largest[0], inner.size)
        return x

    options = {"patches": {LAYER_PATCH: [(kind, layer) for kind in LAYERS]}, "optimized_attention_override": flash}
    x = torch.empty(shape, device="meta", dtype=torch.float16)
    context = torch.empty(shape[0], 77, 768, device="meta", dtype=torch.float16)
    with outer.counting():
        unet(x, torch.empty(shape[0], device="meta"), context=context, transformer_options=options)
    return outer.size + largest[0]


def adapted(unet: Any) -> list[Any]:
    """Give the attention weights of a UNet their low-rank changes; returns the parameters of these."""
    import torch
    from animatediff_native.training.host.adapters import LowRankWeight

    random, parameters = torch.Generator(), []
    for name, layer in unet.named_modules():
        if name.endswith((".to_q", ".to_k", ".to_v", ".to_out.0")):
            change = LowRankWeight(tuple(layer.weight.shape), ADAPTER_RANK, random).to("meta")
            layer.weight_function = [lambda weight, change=change: change.changed(weight)]  # autocast knows no meta device
            parameters += change.parameters()
    return parameters


def stages(unet: Any, other: Any) -> dict[str, Any]:
    """The UNet, what is trained, what else is loaded in bytes, the temporal blocks, and how many frames a call has.

    Args:
        other: a second UNet, which is changed.
    """
    import torch
    from animatediff_native.motion.attention import Attention
    from animatediff_native.motion.config import MotionConfig
    from animatediff_native.motion.low_rank import Changes, LowRankNetwork
    from animatediff_native.motion.model import MotionModel
    from animatediff_native.motion.module import Modulation
    from animatediff_native.training.host.layers import MasterLayers

    def attention(q: Any, k: Any, v: Any, heads: int) -> Any:
        return flash(None, q, k, v, heads, skip_reshape=True)

    def sites(network: Any, modulation: Any, attention: Attention) -> dict[Any, Any]:
        return {site: (lambda x, block=block: block(x, FRAMES, attention, modulation)) for site, block in network.sites().items()}

    config = MotionConfig("v3", (320, 640, 1280, 1280), False, 2, 32)
    whole = MotionModel(config, MasterLayers, device="meta", dtype=torch.float32)
    frozen = MotionModel(config, MasterLayers, device="meta", dtype=torch.float16).requires_grad_(False)
    shapes = {name: tuple(p.shape) for name, p in frozen.named_parameters() if ".attention_blocks." in name and name.endswith("weight")}
    sizes = {name.removesuffix(".weight"): (in_, RANK, out) for name, (out, in_) in shapes.items()}
    lora = LowRankNetwork(sizes, MasterLayers, device="meta")
    changes = Changes((lora.layers(frozen),), (torch.ones((), device="meta"),))
    held = sum(p.nbytes for p in frozen.parameters())
    return {
        f"domain adapter, rank {ADAPTER_RANK}": (other, adapted(other), 0, {}, PICTURES),
        "motion module": (unet, list(whole.parameters()), 0, sites(whole, Modulation(), attention), FRAMES),
        f"motion LoRA, rank {RANK}": (unet, list(lora.parameters()), held, sites(frozen, Modulation(None, None, changes), attention), FRAMES),
    }


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.parse_args()
    sys.argv = sys.argv[:1]
    pack(Path(os.environ["COMFYUI_PATH"]))
    import torch
    from comfy import ops
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    unet, other = (
        UNetModel(**UNET, dtype=torch.float16, device="meta", operations=ops.disable_weight_init).requires_grad_(False) for _ in range(2)
    )
    model = sum(p.nbytes for p in unet.parameters())
    sys.stdout.write(f"SD1.5, {FRAMES} frames, one clip at a time, {PICTURES} for the adapter; GiB. Image model {model / GIB:.2f}\n")
    heads = f"{'stage':26}{'pixels':>8}{'checkpointing':>15}{'weights':>9}{'optimizer':>11}{'activations':>13}{'in all':>8}"
    sys.stdout.write(f"{heads}  cards of {', '.join(map(str, CARDS))} GiB\n")
    for name, (network, trained, held, sites, frames) in stages(unet, other).items():
        weights = sum(p.numel() for p in trained)
        for side in SIZES:
            for checkpointing in (False, True):
                kept = activations(network, sites, (frames, 4, side // 8, side // 8), trained, checkpointing)
                loaded, moved = model + held + 4 * weights, 12 * weights  # gradients and two moments, fp32
                total = (loaded + moved + kept) / GIB
                fits = ", ".join(f"{card}: {'yes' if total + MARGIN <= card else 'no'}" for card in CARDS)
                figures = f"{loaded / GIB:9.2f}{moved / GIB:11.2f}{kept / GIB:13.2f}{total:8.2f}"
                sys.stdout.write(f"{name:26}{side:>8}{'on' if checkpointing else 'off':>15}{figures}  {fits}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
