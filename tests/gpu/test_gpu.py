"""On a CUDA device, with dynamic VRAM and fp16: the clip is the CPU's fp32 clip. Run with ``dev.py test --gpu``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

TOLERANCE = 0.03
"""Relative L2 between fp16 on the GPU and fp32 on the CPU; noise against a clip is above 1."""

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device; this machine has none"),
]


def clip(folder: Path, name: str, side: int, steps: int, *flags: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Sample in a process of its own; see clip.py."""
    script = str(Path(__file__).with_name("clip.py"))
    subprocess.run([sys.executable, script, str(folder), name, str(side), str(steps), *flags], check=True)
    return torch.load(folder / f"{name}.pt"), json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a.double() - b.double()).norm() / b.double().norm()).item()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the full-size random weights lie, 2.6 GB, written once."""
    return tmp_path_factory.mktemp("gpu")


@pytest.mark.parametrize("side", [32, 64])
def test_gpu_equals_cpu(folder: Path, side: int, capsys: pytest.CaptureFixture[str]) -> None:
    wanted, _ = clip(folder, f"cpu{side}", side, 1, "--cpu", "--use-pytorch-cross-attention")
    got, figures = clip(folder, f"gpu{side}", side, 1, "--fp16-unet")
    assert figures["dynamic_vram"], "the host did not turn dynamic VRAM on"
    assert torch.isfinite(got["clip"]).all()
    with capsys.disabled():
        print(f"\n{side * 8}x{side * 8}, 16 frames: {distance(got['clip'], wanted['clip']):.4f} from fp32. {figures}")
    assert distance(got["clip"], wanted["clip"]) < TOLERANCE
    assert distance(got["clip"], got["plain"]) > 0.05, "the module does nothing"
