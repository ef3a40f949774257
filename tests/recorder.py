"""Stand-ins that note which frame's hint, mask, prompt and image a model call is given; no UNet runs."""

from __future__ import annotations

from typing import Any, NamedTuple

import comfy.controlnet
import torch
from torch import Tensor, nn

import nodes as host_nodes

UNIT = 1 / 512
"""Frame i is marked by the value i * UNIT, which every dtype holds exactly."""
OTHER = -UNIT
"""Marks the prompt of a second positive cond."""


class Recorder(nn.Module):
    """A control network under the host's ControlNet: notes which hints it is given, controls nothing."""

    dtype = torch.float32

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.seen: list[list[int]] = []
        self.kinds: list[Any] = []

    def forward(self, x: Tensor, hint: Tensor, timesteps: Tensor, context: Tensor, **extra: Any) -> dict[str, list[Tensor]]:
        self.seen.append(frames_of(hint))
        self.kinds.append(extra.get("control_type"))
        return {"input": [], "middle": [], "output": []}


def frames_of(batch: Tensor) -> list[int]:
    """Which frames' marks a batch holds."""
    return [round(value / UNIT) for value in batch.flatten(1)[:, 0].tolist()]


def marks(count: int, *shape: int) -> Tensor:
    """A batch whose entry i is filled with i * UNIT."""
    return (torch.arange(count) * UNIT).reshape(-1, *[1] * len(shape)).expand(count, *shape).contiguous()


def prompts(count: int) -> list[Any]:
    """A CONDITIONING of marked prompts for the tiny models."""
    return [[marks(count, 2, 64), {}]]


def controlled(
    conditioning: list[Any], hints: int, chain: int = 1, size: int = 64
) -> tuple[list[Any], list[Recorder]]:
    """A CONDITIONING with a chain of ControlNets, as Apply ControlNet makes it."""
    recorders = []
    images = marks(hints, size, size, 3)
    for _ in range(chain):
        recorders.append(Recorder())
        net = comfy.controlnet.ControlNet(recorders[-1], load_device=torch.device("cpu"), extra_conds=[])
        conditioning = host_nodes.ControlNetApply().apply_controlnet(conditioning, net, images, 1.0)[0]
    return conditioning, recorders


class Call(NamedTuple):
    """One model call: frames of the window, how many conds, which frames' prompts and images it got."""

    indices: list[int]
    conds: int
    prompts: list[int]
    images: list[int] | None


class Run(NamedTuple):
    """The calls of a sampling run, and per step which frame's mask each frame got (see ``record``)."""

    calls: list[Call]
    masks: list[list[int]]


def record(
    model: Any, frames: int, positive: Any, negative: Any, steps: int = 1, latent: dict[str, Any] | None = None
) -> Run:
    """Sample without the UNet.

    Conds whose prompt is OTHER predict 0, all else 1: beside an unmasked OTHER, a cond of mask m gives m / (m + 1).
    """
    calls: list[Call] = []
    masks: list[list[int]] = []

    def predict(_apply: Any, args: dict[str, Any]) -> Tensor:
        options, given = args["c"]["transformer_options"], args["c"]
        window = options.get("context_window")
        indices = list(window.index_list) if window else list(range(frames))
        images = frames_of(given["c_concat"][:, 1:]) if "c_concat" in given else None
        calls.append(Call(indices, len(args["cond_or_uncond"]), frames_of(given["c_crossattn"]), images))
        value = (given["c_crossattn"][:, 0, 0] >= 0).to(args["input"])
        return value.reshape(-1, 1, 1, 1).expand_as(args["input"]).contiguous()

    def unmask(args: dict[str, Any]) -> Tensor:
        value = args["cond_denoised"].double()[:, 0, 0, 0]
        masks.append([round(m / UNIT) for m in (value / (1 - value)).tolist()] if (value < 0.9).all() else [])
        return args["denoised"]

    model = model.clone()
    model.set_model_unet_function_wrapper(predict)
    model.set_model_sampler_post_cfg_function(unmask)
    latent = latent or {"samples": torch.zeros(frames, 4, 8, 8)}
    host_nodes.common_ksampler(model, 1, steps, 3.0, "euler", "normal", positive, negative, latent)
    return Run(calls, masks)
