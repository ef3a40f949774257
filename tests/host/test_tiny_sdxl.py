"""The tiny SDXL models the other tests stand on: they sample, they read what SDXL reads, and no real model is taken for one."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import comfy.model_base
import comfy.model_detection
import comfy.supported_models
import pytest
import torch
from animatediff_native.demo.tiny_checkpoint import sdxl_checkpoint
from animatediff_tests.tiny import conditioning, run_ksampler

PACK = Path(__file__).resolve().parents[2] / "demo" / "tiny_models_pack" / "__init__.py"


def test_sdxl_model_samples(sdxl_model) -> None:
    clip = run_ksampler(sdxl_model, frames=4)
    assert isinstance(sdxl_model.model, comfy.model_base.SDXL)
    assert clip.shape == (4, 4, 8, 8) and torch.isfinite(clip).all()
    assert torch.equal(run_ksampler(sdxl_model, frames=4), clip)


@pytest.mark.parametrize("note", ["pooled_output", "width", "height", "crop_w", "crop_h", "target_width", "target_height"])
def test_sdxl_model_reads(sdxl_model, note: str) -> None:
    changed = torch.zeros(1, 64) if note == "pooled_output" else 999
    clip = run_ksampler(sdxl_model, frames=1)
    assert not torch.equal(run_ksampler(sdxl_model, frames=1, positive=conditioning(1, notes={note: changed})), clip)


@pytest.fixture
def pack(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The test pack, registered for one test."""
    monkeypatch.setattr(comfy.supported_models, "models", list(comfy.supported_models.models))
    spec = importlib.util.spec_from_file_location("tiny_models_pack", PACK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sdxl_checkpoint_is_recognised_by_the_pack_alone(pack: ModuleType) -> None:
    prefix = "model.diffusion_model."
    weights = {key: tensor for key, tensor in sdxl_checkpoint().items() if key.startswith(prefix)}
    config = comfy.model_detection.detect_unet_config(weights, prefix)
    known = comfy.supported_models.models
    assert [entry for entry in known if entry.matches(config, weights, prefix)] == [pack.TinySDXL]
    model = comfy.model_detection.model_config_from_unet(weights, prefix)
    assert isinstance(model, pack.TinySDXL) and model.unet_config["num_head_channels"] == 8


def test_no_known_model_is_taken_for_a_tiny_one(pack: ModuleType) -> None:
    tiny = (pack.TinySD15, pack.TinySDXL)
    others = [entry for entry in comfy.supported_models.models if entry not in tiny]
    assert len(others) > 20
    assert not [(entry, ours) for entry in others for ours in tiny if ours.matches(entry.unet_config)]
    assert all(ours.unet_config["model_channels"] == 32 for ours in tiny)
    count = len(comfy.supported_models.models)
    pack.register()
    assert len(comfy.supported_models.models) == count
