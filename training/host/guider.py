"""A sampling run that trains instead of sampling: the host loads the models, prepares prompts and calls the UNet.

``run_training`` hands its caller an ``Evaluation``: what the model says of one clip at a noise level, through the host's
``calc_cond_batch`` and so through every wrapper that acts when sampling. Called by ``stages``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import comfy.model_management
import comfy.samplers
import torch
from comfy.model_patcher import ModelPatcher
from comfy.samplers import CFGGuider, Sampler
from torch import Tensor

from ...sampling.host.controls import Conditioning
from ...sampling.host.wrappers import RUN, Executor, HostOptions, WrappersMP, put_wrapper
from .checkpointing import with_checkpointing
from .copies import plain


@dataclass(frozen=True)
class Clips:
    """What is trained on.

    Attributes:
        latents: one ``(F, C, h, w)`` per clip, as an autoencoder gives them.
        captions: the host's CONDITIONING of each.
        untold: that of an empty prompt, for caption dropout.
    """

    latents: Sequence[Tensor]
    captions: Sequence[Conditioning]
    untold: Conditioning | None = None

    @property
    def prompts(self) -> list[Conditioning]:
        """All prompts: that of each clip, then the empty one if there is one."""
        return [*self.captions, *([self.untold] if self.untold is not None else [])]



class Evaluation:
    """The clips of a training, and the loaded model.

    Attributes:
        latents: of the clips in the scale of the UNet, where it computes.
        sigmas: the noise levels of the schedule, rising.
        slopes: at each of them, how far what the model takes the clip for moves with what it puts out.
    """

    def __init__(self, guider: CFGGuider, clips: Clips, checkpointing: bool, options: HostOptions) -> None:
        self.guider = guider
        self.model: Any = guider.inner_model
        self.sampling: Any = self.model.model_sampling
        self.device = guider.model_patcher.load_device
        self.options = with_checkpointing(options) if checkpointing else options
        self.sigmas = [float(sigma) for sigma in self.sampling.sigmas]
        self.slopes = _slopes(self.sampling, self.sigmas)
        self.latents = [self.model.process_latent_in(plain(clip).float()).to(self.device) for clip in clips.latents]
        self.prompts = _prepared(guider, clips, self.latents)

    def outputs(
        self, clip: int, level: int, noise: Tensor, untold: bool = False, frames: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """What the model puts out for a clip with noise, and what it should: noise, or velocity where it predicts that.

        ``calculate_denoised`` is ``base + slope * output`` for every kind of prediction, so both follow from what the model
        takes the clip for and from the clip.

        Args:
            noise: of the shape of what is evaluated.
            frames: which of the clip's; None is all.

        Returns:
            Both ``(F, C, h, w)``, fp32.
        """
        clean, sampling = self.latents[clip], self.sampling
        clean = clean if frames is None else clean[list(frames)]
        sigma = torch.full((clean.shape[0],), self.sigmas[level], device=self.device)
        noisy = sampling.noise_scaling(sigma, noise.to(self.device), clean, False)
        prompt = self.prompts[-1 if untold else 0][clip]
        if frames is not None:
            prompt = [_of_frames(cond, frames, len(self.latents[clip])) for cond in prompt]
        found = comfy.samplers.calc_cond_batch(self.model, [prompt], noisy, sigma, self.options)[0]
        base, slope = sampling.calculate_denoised(sigma[:1], torch.zeros_like(noisy), noisy), self.slopes[level]
        return (found.float() - base) / slope, (clean - base) / slope

    @contextmanager
    def at_rest(self) -> Iterator[ModelPatcher]:
        """Inside, the MODEL can be sampled with as it is, and others loaded. Afterwards it is whole on its device again."""
        patcher, in_use = self.guider.model_patcher, comfy.model_management.loaded_models(only_currently_used=True)
        try:
            with torch.no_grad():
                yield patcher
        finally:
            comfy.model_management.load_models_gpu(in_use, force_full_load=True)
            patcher.pre_run()


def _slopes(sampling: Any, sigmas: Sequence[float]) -> list[float]:
    """``calculate_denoised`` of an output of one, less that of none."""
    levels = torch.tensor(sigmas)
    ones = torch.ones(len(levels), 1, 1, 1)
    return sampling.calculate_denoised(levels, ones, torch.zeros_like(ones)).flatten().tolist()


def _prepared(guider: CFGGuider, clips: Clips, latents: Sequence[Tensor]) -> list[list[Any]]:
    """The prompts as the UNet takes them, once for the whole training: those of the clips, then the empty one for each."""
    parts = iter(guider.conds["positive"])
    prompts = [[next(parts) for _ in prompt] for prompt in clips.prompts]
    device = guider.model_patcher.load_device

    def ready(prompt: list[Any], latent: Tensor) -> list[Any]:
        own = {"positive": [dict(part) for part in prompt]}
        conds = comfy.samplers.process_conds(guider.inner_model, torch.zeros_like(latent), own, device, latent)["positive"]
        return [_plain_cond(cond) for cond in conds]

    told = [ready(prompt, latent) for prompt, latent in zip(prompts, latents, strict=False)]
    return [told] if clips.untold is None else [told, [ready(prompts[-1], latent) for latent in latents]]


def _of_frames(cond: dict[str, Any], frames: Sequence[int], count: int) -> dict[str, Any]:
    """A prompt for some of ``count`` frames, in their order: what it has for each frame goes with the frame.

    Raises:
        ValueError: it has a control, whose hints stay where they are.
    """
    if cond.get("control") is not None:
        raise ValueError("Clips shown backwards or as single pictures cannot have a ControlNet. Train with prompts alone, or without reversal.")
    chosen = list(frames)
    parts = {key: _part_of(part, chosen, count) for key, part in cond["model_conds"].items()}
    mask = cond.get("mask")
    masks = {} if mask is None or len(mask) != count else {"mask": mask[chosen]}
    return {**cond, "model_conds": parts, **masks}


def _part_of(part: Any, frames: list[int], count: int) -> Any:
    whole = getattr(part, "cond", None)
    return type(part)(whole[frames]) if isinstance(whole, Tensor) and 1 < count == len(whole) else part


def _plain_cond(cond: dict[str, Any]) -> dict[str, Any]:
    """A prompt without tensors of inference mode."""
    return {**cond, "model_conds": {key: _plain_part(part) for key, part in cond["model_conds"].items()}}


def _plain_part(part: Any) -> Any:
    return type(part)(plain(part.cond)) if hasattr(part, "cond") else part


class TrainingSampler(Sampler):
    """Runs a training in the place of sampling steps."""

    def __init__(self, clips: Clips, checkpointing: bool, train: Callable[[Evaluation], None]) -> None:
        self.clips, self.checkpointing, self.train = clips, checkpointing, train

    def sample(
        self,
        model_wrap: Any,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: Any,
        noise: Tensor,
        latent_image: Tensor | None = None,
        denoise_mask: Tensor | None = None,
        disable_pbar: bool = False,
    ) -> Tensor:
        """Called by the host with everything loaded; what it gives back is not used."""
        with torch.inference_mode(False), torch.enable_grad():
            self.train(Evaluation(model_wrap, self.clips, self.checkpointing, extra_args["model_options"]))
        return torch.zeros_like(noise)


class TrainingGuider(CFGGuider):
    """Brings the prompts of all clips into the run."""

    def set_prompts(self, prompts: Sequence[Conditioning]) -> None:
        """The prompts one after another, each of one or more parts."""
        self.inner_set_conds({"positive": [part for prompt in prompts for part in prompt]})


def _load_whole(executor: Executor, *args: Any, **kw: Any) -> Any:
    """Around the host's loading. What it loads in part it brings piece by piece through one buffer, which gradients cannot use."""
    return executor(*args, **{**kw, "force_full_load": True})


def run_training(model: ModelPatcher, clips: Clips, checkpointing: bool, train: Callable[[Evaluation], None]) -> None:
    """Load a private MODEL and run ``train`` inside a sampling run, with gradients.

    Args:
        model: from ``copies.private_copy``, with whatever is trained on it. When ``train`` runs, all is on its device.
        checkpointing: whether layers are computed twice.
    """
    guider = TrainingGuider(model)
    guider.set_prompts(clips.prompts)
    put_wrapper(model, WrappersMP.PREPARE_SAMPLING, RUN, _load_whole)
    sampling: Any = model.get_model_object("model_sampling")
    highest = torch.tensor([float(sampling.sigma_max), 0.0])
    with torch.inference_mode(False), torch.no_grad():
        nothing = torch.zeros(clips.latents[0].shape)
        guider.sample(nothing, nothing.clone(), TrainingSampler(clips, checkpointing, train), highest, disable_pbar=True, seed=0)
