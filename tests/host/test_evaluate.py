"""Measure Motion and Evaluate Animation on the host's own CLIP, tiny and random: what reaches it and what comes out."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comfy.sd
import comfy.supported_models
import pytest
import torch
from animatediff_native.demo.tiny_checkpoint import checkpoint, sdxl_checkpoint
from animatediff_native.nodes.evaluate import EvaluateAnimation, MeasureMotion
from animatediff_native.sampling.timeline.chart import HEIGHT, WIDTH
from animatediff_native.training.host.vision import image_embeddings, text_embedding
from comfy.clip_vision import ClipVisionModel
from torch.nn import functional

PACK = Path(__file__).resolve().parents[2] / "demo" / "tiny_models_pack" / "__init__.py"
VISION = {
    "model_type": "clip_vision_model",
    "hidden_act": "quick_gelu",
    "hidden_size": 32,
    "intermediate_size": 64,
    "image_size": 32,
    "layer_norm_eps": 1e-5,
    "num_attention_heads": 2,
    "num_channels": 3,
    "num_hidden_layers": 2,
    "patch_size": 8,
}
POOLED, TEXT_WIDTH = 32, 64
"""Of the tiny SDXL's embedding of a whole prompt, and of the tiny CLIP-L."""


@pytest.fixture(scope="module")
def vision() -> ClipVisionModel:
    model = ClipVisionModel({**VISION, "projection_dim": POOLED})
    random = torch.Generator().manual_seed(4)
    state = {}
    for name, value in model.model.named_parameters():
        state[name] = torch.randn(value.shape, generator=random) * (0.3 if value.ndim > 1 else 0.1) + float("norm" in name and "weight" in name)
    model.load_sd({**model.get_sd(), **state})
    return model


@pytest.fixture(scope="module")
def encoders() -> Iterator[dict[str, Any]]:
    """The CLIPs of a tiny SD1.5 and a tiny SDXL checkpoint."""
    known = list(comfy.supported_models.models)
    spec = importlib.util.spec_from_file_location("tiny_models_pack", PACK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with torch.inference_mode():
        states = {"sd15": checkpoint(), "sdxl": sdxl_checkpoint()}
        yield {name: comfy.sd.load_state_dict_guess_config(state, output_vae=False, output_model=False)[1] for name, state in states.items()}
    comfy.supported_models.models[:] = known


@pytest.fixture
def frames() -> torch.Tensor:
    """A texture that moves 2 pixels to the left a frame."""
    canvas = torch.rand(12, 16, 3, generator=torch.Generator().manual_seed(1)).repeat_interleave(6, 0).repeat_interleave(6, 1)
    return torch.stack([canvas[:64, 2 * frame : 2 * frame + 64] for frame in range(5)])


def test_measure_motion(frames) -> None:
    out = MeasureMotion.execute(frames)
    x, y, zoom, roll, distance, closure, flicker, plot, text = out.result
    assert x == pytest.approx(-2, abs=0.05) and max(abs(y), abs(zoom), abs(roll)) < 0.1
    assert distance == pytest.approx(float((frames[1:] - frames[:-1]).abs().mean()), rel=1e-4) and closure > 1 and flicker < 0.05
    assert plot.shape == (1, 3 * HEIGHT, WIDTH, 3)
    assert text.startswith("shift x -2.0") and "camera pans right" in text
    assert out.ui["text"] == (text,) and len(out.ui["images"]) == 1


def test_measure_motion_ignores_a_mask(frames) -> None:
    """Half of the picture stands still; without it the rest is what moves."""
    frames = frames.clone()
    frames[:, :, :40] = frames[:1, :, :40]
    mask = torch.zeros(1, 64, 64)
    mask[:, :, :42] = 1
    assert MeasureMotion.execute(frames, mask).result[0] == pytest.approx(-2, abs=0.1)
    assert abs(MeasureMotion.execute(frames).result[0]) < 0.5


def test_embeddings_are_the_hosts(vision, frames) -> None:
    many = frames.repeat(4, 1, 1, 1)  # more than CLIP is given at once
    found = image_embeddings(vision, torch.cat((many, torch.ones(20, 64, 64, 1)), dim=-1))
    assert found.shape == (20, POOLED)
    assert torch.allclose(found, vision.encode_image(many)["image_embeds"], atol=1e-5)


def test_evaluate_animation(vision, encoders, frames) -> None:
    """Each number is the mean cosine that the paper names; SDXL's CLIP projects its text itself."""
    clip, references = encoders["sdxl"], torch.rand(3, 40, 48, 3)
    _, pooled = clip.encode_from_tokens(clip.tokenize("a red ball"), return_pooled=True)
    assert pooled.shape == (1, POOLED)
    out = EvaluateAnimation.execute(frames, vision, clip, "a red ball", references)
    alignment, similarity, smoothness, plot, summary = out.result
    unit = functional.normalize(vision.encode_image(frames)["image_embeds"], dim=1)
    others = functional.normalize(vision.encode_image(references)["image_embeds"], dim=1)
    assert alignment == pytest.approx(float((unit @ functional.normalize(pooled.float(), dim=1).T).mean()), abs=1e-5)
    assert similarity == pytest.approx(float((unit @ others.T).mean()), abs=1e-5)
    assert smoothness == pytest.approx(float((unit[1:] * unit[:-1]).sum(dim=1).mean()), abs=1e-5)
    assert plot.shape == (1, 3 * HEIGHT, WIDTH, 3) and out.ui["text"] == (summary,)
    assert summary.splitlines()[2] == f"motion smoothness {100 * smoothness:.2f}"


def test_what_is_not_connected_is_not_measured(vision, encoders, frames) -> None:
    alignment, similarity, _, plot, summary = EvaluateAnimation.execute(frames, vision, encoders["sdxl"], "  ").result
    assert (alignment, similarity) == (0.0, 0.0) and plot.shape[1] == HEIGHT
    assert summary.startswith("text alignment: not measured (connect clip and write a text)")


def test_the_projection_of_a_single_clip(encoders) -> None:
    """The host leaves it out for SD1.5; it is applied where the file has one, and a file without one is refused."""
    clip = encoders["sd15"].clone()
    encoder = clip.cond_stage_model.clip_l
    plain = clip.encode_from_tokens(clip.tokenize("a cat"), return_pooled=True)[1]
    kept = encoder.transformer.text_projection.weight
    weight = torch.randn(TEXT_WIDTH, TEXT_WIDTH, generator=torch.Generator().manual_seed(2)) / TEXT_WIDTH**0.5
    try:
        for missing in (torch.zeros_like(weight), torch.eye(TEXT_WIDTH), torch.full_like(weight, torch.nan)):
            encoder.transformer.text_projection.weight = torch.nn.Parameter(missing, requires_grad=False)
            with pytest.raises(ValueError, match=r"no projection of text .* Load clip_l\.safetensors with Load CLIP"):
                text_embedding(clip, "a cat")
        encoder.transformer.text_projection.weight = torch.nn.Parameter(weight, requires_grad=False)
        assert torch.allclose(text_embedding(clip, "a cat"), plain.float() @ weight.T, atol=1e-4)
    finally:
        encoder.transformer.text_projection.weight = kept


def test_models_that_do_not_fit(encoders, frames) -> None:
    other = ClipVisionModel({**VISION, "projection_dim": 48})
    other.load_sd({name: torch.randn_like(value) * 0.1 for name, value in other.get_sd().items() if value.is_floating_point()})
    with pytest.raises(ValueError, match=r"Frames have embeddings of 48 numbers, the text of 32"):
        EvaluateAnimation.execute(frames, other, encoders["sdxl"], "a cat")
