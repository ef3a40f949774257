"""Opening files: every wrong file gets its own answer, and no pickle runs code."""

from __future__ import annotations

import json
import os
import pickle
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from animatediff_native.demo import synthetic
from animatediff_native.motion.container import read_file
from animatediff_tests.tainted import save_with_config
from safetensors.torch import save_file

CHANNELS = (32, 64, 128, 128)
V3 = synthetic.motion_module(channels=CHANNELS, mid=False, positions=32, seed=0)
BLOCK = "down_blocks.0.motion_modules.0.temporal_transformer"


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty (0 bytes)"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 1\n", "is a git-lfs pointer of"),
        (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "is a web page, not a model"),
    ],
)
def test_what_downloads_leave_behind(tmp_path: Path, suffix: str, content: bytes, message: str) -> None:
    path = tmp_path / f"mm{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"mm{suffix} {message}")):
        read_file(path)


def test_text(tmp_path: Path) -> None:
    (tmp_path / "mm.ckpt").write_text("404: Not Found")
    with pytest.raises(ValueError, match="is a text file, not a model"):
        read_file(tmp_path / "mm.ckpt")
    (tmp_path / "mm.safetensors").write_text("404: Not Found")
    with pytest.raises(ValueError, match="is not a safetensors file"):
        read_file(tmp_path / "mm.safetensors")


@pytest.mark.parametrize("keep", [1, 7, 8, 9, 100, 5_000, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("container", ["ckpt", "safetensors"])
def test_truncated(tmp_path: Path, keep: float, container: str) -> None:
    path = tmp_path / f"mm.{container}"
    save_file(V3, path) if container == "safetensors" else torch.save(V3, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if keep < 1 else int(keep)])
    with pytest.raises(ValueError, match=f"mm.{container} is .*Download it again"):
        read_file(path)


def test_renamed_containers(tmp_path: Path) -> None:
    torch.save(V3, tmp_path / "zip.safetensors")
    with pytest.raises(ValueError, match="is a torch pickle under a wrong name. Rename it to end in"):
        read_file(tmp_path / "zip.safetensors")
    save_file(V3, tmp_path / "tensors.ckpt")
    with pytest.raises(ValueError, match=r"tensors\.ckpt is a safetensors file under a wrong name"):
        read_file(tmp_path / "tensors.ckpt")


class Bomb:
    """Pickles to a call that makes a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_configuration_object_beside_the_weights(tmp_path: Path, zipped: bool) -> None:
    path = save_with_config(V3, tmp_path / "v3_sd15_mm.ckpt", zipped)
    assert "omegaconf" not in sys.modules
    with pytest.raises(pickle.UnpicklingError, match="omegaconf"):
        torch.load(path, weights_only=True)
    file = read_file(path)
    assert file.tensors.keys() == V3.keys()
    assert all(torch.equal(file.tensors[key], V3[key]) for key in V3)


def test_the_host_keeps_refusing_such_objects(tmp_path: Path) -> None:
    """What we allow while reading is not allowed to anybody else afterwards."""
    allowed = set(torch.serialization.get_safe_globals())  # torch lists a set: its order may change
    path = save_with_config(V3, tmp_path / "v3_sd15_mm.ckpt")
    read_file(path)
    assert set(torch.serialization.get_safe_globals()) == allowed
    with pytest.raises(pickle.UnpicklingError, match="omegaconf"):
        torch.load(path, weights_only=True)


@pytest.mark.parametrize("nesting", [1, 3])
@pytest.mark.parametrize("wrapper", ["state_dict", "module", "controlnet"])
def test_wrappers(tmp_path: Path, wrapper: str, nesting: int) -> None:
    inner: Any = {f"module.{key}": tensor for key, tensor in V3.items()}
    for _ in range(nesting):
        inner = {wrapper: inner, "epoch": 3, "dp_world_size": 8}
    torch.save(inner, tmp_path / "mm.pt")
    assert read_file(tmp_path / "mm.pt").tensors.keys() == V3.keys()


def test_parameters_and_notes_beside_the_weights(tmp_path: Path) -> None:
    state = {key: torch.nn.Parameter(tensor) for key, tensor in V3.items()}
    torch.save({**state, "epoch": 3, "name": "x", "betas": [0.1]}, tmp_path / "mm.ckpt")
    assert read_file(tmp_path / "mm.ckpt").tensors.keys() == V3.keys()


def test_metadata(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors", {"model_type": "motion_director"})
    file = read_file(tmp_path / "a.safetensors")
    assert (file.metadata, file.name, file.shapes) == ({"model_type": "motion_director"}, "a.safetensors", {"a": (1,)})


@pytest.mark.parametrize("container", ["zip", "legacy", "plain"])
def test_a_hostile_pickle_runs_nothing(tmp_path: Path, container: str) -> None:
    mark, path = tmp_path / "ran", tmp_path / "mm.ckpt"
    if container == "plain":
        path.write_bytes(pickle.dumps({"a": Bomb(mark)}))
    else:
        torch.save({**V3, "a": Bomb(mark)}, path, _use_new_zipfile_serialization=container == "zip")
    with pytest.raises(ValueError, match="opening it could run code|is damaged"):
        read_file(path)
    assert not mark.exists()


def test_safetensors_header_that_lies(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 999]}}).encode()
    (tmp_path / "mm.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 16)
    with pytest.raises(ValueError, match=r"mm\.safetensors is damaged"):
        read_file(tmp_path / "mm.safetensors")
