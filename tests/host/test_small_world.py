"""The checkpoint of the small world in the host: it is recognised, and what it samples is what its prompt says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comfy.sd
import comfy.supported_models
import pytest
import torch
from animatediff_native.demo.world.files import checkpoint
from animatediff_native.demo.world.measures import reading
from safetensors.torch import save_file

import nodes as host_nodes

COUNT = 8
CAPTION = "a big red ball rests over a green hill"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any, Any]]:
    """MODEL, CLIP and VAE, from a file as people have them. The host forgets the world's widths afterwards."""
    known = list(comfy.supported_models.models)
    from animatediff_native.demo import tiny_models_pack  # importing it tells the host too

    tiny_models_pack.register()
    file = tmp_path_factory.mktemp("world") / "tiny_sd15.safetensors"
    save_file(checkpoint(), file)
    with torch.inference_mode():
        model, clip, vae, _ = comfy.sd.load_checkpoint_guess_config(str(Path(file)))
        yield model, clip, vae
    comfy.supported_models.models[:] = known


def test_the_host_recognises_it(world: tuple[Any, Any, Any]) -> None:
    model, clip, _ = world
    config = model.model.model_config
    assert type(config).__name__ == "SmallWorld"
    assert config.unet_config["model_channels"] == 64 and list(model.model.diffusion_model.channel_mult) == [1, 1, 1, 1]
    embedding = clip.encode_from_tokens(clip.tokenize(CAPTION))
    assert embedding.shape == (1, 77, 64) and embedding.isfinite().all()


def test_it_draws_what_the_prompt_says(world: tuple[Any, Any, Any]) -> None:
    """Colour and ground in three of four pictures at least, read by formula; `bench motion` has the numbers over many seeds."""
    model, clip, vae = world
    prompts = [clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in (CAPTION, "")]
    latent = {"samples": torch.zeros(COUNT, 4, 8, 8)}
    sampled = host_nodes.common_ksampler(model, 3, 10, 3.0, "ddim", "ddim_uniform", *prompts, latent)[0]["samples"]
    pictures = vae.decode(sampled)
    assert pictures.shape == (COUNT, 64, 64, 3) and pictures.isfinite().all()
    found = [(shape.colour, shape.ground) for shape in reading(pictures).shapes]
    assert found.count(("red", "green hill")) >= 6, found
