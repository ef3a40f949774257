"""The small world inside the host: its checkpoint loaded as the host loads any, prompts, clips, samples.

`train` trains on it, `bench/motion.py` measures on it. Needs ComfyUI on the path.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import comfy.sample
import comfy.sd
import torch
from torch import Tensor

from .autoencoder import SD15_SCALE
from .image import encode
from .prompts import SETTINGS
from .scene import FRAMES, VIEW


@dataclass(frozen=True)
class Sampling:
    """How the world is sampled, for all pictures and figures; as the graphs of the demo are."""

    steps: int = SETTINGS["steps"]
    cfg: float = SETTINGS["cfg"]
    sampler: str = SETTINGS["sampler_name"]
    scheduler: str = SETTINGS["scheduler"]


@dataclass
class Studio:
    """The loaded parts of a checkpoint.

    Attributes:
        model, clip, vae: as a checkpoint loader gives them.
        autoencoder: the tensors of the autoencoder, for encoding many frames at once.
    """

    model: Any
    clip: Any
    vae: Any
    autoencoder: dict[str, Tensor]
    _prompts: dict[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, tensors: dict[str, Tensor]) -> Studio:
        """Load a checkpoint from the tensors that its file would have (`files.assembled`)."""
        from ..tiny_models_pack import register  # importing it is enough to tell the host: only where it is wanted

        register()
        prefix = "first_stage_model."
        autoencoder = {key.removeprefix(prefix): tensor.float() for key, tensor in tensors.items() if key.startswith(prefix)}
        copies = {key: tensor.clone() for key, tensor in tensors.items()}  # the host takes the tensors it is given apart
        loaded: Any = comfy.sd.load_state_dict_guess_config(copies)
        model, clip, vae, _ = loaded
        return cls(model, clip, vae, autoencoder)

    def prompt(self, text: str) -> Any:
        """The CONDITIONING of a caption."""
        if text not in self._prompts:
            self._prompts[text] = self.clip.encode_from_tokens_scheduled(self.clip.tokenize(text))
        return self._prompts[text]

    def latents(self, clips: Tensor) -> list[Tensor]:
        """Clips (N, F, 64, 64, 3) as bytes -> LATENT tensors (F, 4, 8, 8) in the autoencoder's scale."""
        return [encode(self.autoencoder, clip) / SD15_SCALE for clip in clips]

    def sample(self, model: Any, text: str, seed: int, frames: int = FRAMES, settings: Sampling = Sampling(), **conds: Any) -> Tensor:
        """Sample an animation, or as many pictures, with the host's sampler, and decode it: (F, 64, 64, 3), values 0 to 1.

        Args:
            model: any MODEL made of this studio's.
            conds: `positive` and `negative`, in place of the prompts of `text` and of nothing.
        """
        positive, negative = conds.get("positive", self.prompt(text)), conds.get("negative", self.prompt(""))
        latent = torch.zeros(frames, 4, VIEW // 8, VIEW // 8)
        noise = comfy.sample.prepare_noise(latent, seed)
        with torch.inference_mode():
            sampled = comfy.sample.sample(
                model, noise, settings.steps, settings.cfg, settings.sampler, settings.scheduler, positive, negative, latent,
                denoise=1.0, disable_pbar=True, seed=seed,
            )  # fmt: skip
        return self.pictures(sampled)

    def pictures(self, latents: Tensor) -> Tensor:
        """Sampled latents (F, 4, 8, 8) -> frames (F, 64, 64, 3), values 0 to 1."""
        with torch.inference_mode():
            return self.vae.decode(latents)
