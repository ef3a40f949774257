"""Damaged and hostile files: never an error that is not ours, never a wrong load. A thousand cases."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from animatediff_native.demo import synthetic
from animatediff_native.motion.checkpoint import original_keys, read_motion_module
from animatediff_native.motion.container import ModelFile, read_file
from animatediff_native.motion.lora import match_motion_lora, read_motion_lora
from animatediff_native.motion.model import MotionModel
from animatediff_tests.spellings import SPELLINGS, spelled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from torch import Tensor

CHANNELS = (32, 64, 128)
MODULE = synthetic.motion_module(channels=CHANNELS, mid=False, positions=32, seed=0)
LORA = synthetic.motion_lora(channels=CHANNELS, mid=False, rank=2, seed=0)
SHAPES = {key: tuple(tensor.shape) for key, tensor in MODULE.items()}


def cases(number: int) -> Any:
    """So many random cases, of any duration."""
    ignored = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=number, deadline=None, suppress_health_check=ignored)


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "reshape": lambda tensor: tensor.reshape(-1, 1),
    "transpose": lambda tensor: tensor.transpose(0, -1),
    "scalar": lambda tensor: tensor.new_ones(()),
    "empty": lambda tensor: tensor.new_zeros(0),
    "retype": lambda tensor: tensor.to(torch.int64),
    "float8": lambda tensor: tensor.to(torch.float8_e4m3fn),
}


damages = st.lists(
    st.tuples(
        st.integers(0, 10**6),
        st.sampled_from(["drop", "rename", "prefix", "swap", "junk", *CHANGES]),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12),
    ),
    min_size=1,
    max_size=4,
)


def damaged(state: dict[str, Tensor], plan: list[tuple[int, str, str]]) -> dict[str, Tensor]:
    """The tensors after some accidents."""
    state = dict(state)
    for number, damage, text in plan:
        key = sorted(state)[number % len(state)]
        tensor = state[key]
        if damage == "junk":
            state[text] = tensor
            continue
        del state[key]
        if damage == "rename":
            state[f"{key}.{text}"] = tensor
        elif damage == "prefix":
            state[f"{text}{key}"] = tensor
        elif damage == "swap":
            other = sorted(state)[(number + len(text)) % len(state)]
            state[key], state[other] = state[other], tensor
        elif damage != "drop":
            state[key] = CHANGES[damage](tensor)
    return state


def check_module(file: ModelFile) -> None:
    """Our error, or a network whose every weight is the file's tensor of that name."""
    try:
        found = read_motion_module(file)
        config, state = found.config, found.motion
    except ValueError as error:
        assert file.name in str(error)
        return
    network = MotionModel(config, device="meta")
    network.load_state_dict(state, strict=True, assign=True)
    origin = {new: key for key in file.tensors for new in original_keys(key)}
    for key, tensor in network.state_dict().items():
        if key.endswith(".pe"):
            assert torch.isfinite(tensor).all() and tensor.shape[1] == config.positions
        else:
            assert tensor.data_ptr() == file.tensors[origin[key]].data_ptr()
            assert tuple(tensor.shape) == SHAPES[key]


@cases(400)
@given(damages)
def test_motion_modules(plan: list[tuple[int, str, str]]) -> None:
    check_module(ModelFile("mm.ckpt", damaged(MODULE, plan)))


@cases(300)
@given(st.sampled_from(sorted(SPELLINGS)), damages)
def test_motion_loras(spelling: str, plan: list[tuple[int, str, str]]) -> None:
    tensors = damaged(spelled(LORA, spelling), plan)
    try:
        lora = read_motion_lora(ModelFile("pan.ckpt", tensors))
        targets = match_motion_lora(lora, SHAPES)
    except ValueError as error:
        assert "pan.ckpt" in str(error)
        return
    assert set(targets) == set(lora.parameters)
    for parameter, weight in targets.items():
        up, down = (lora.tensors[f"{parameter}.lora_{side}.weight"] for side in ("up", "down"))
        assert tuple((up.float() @ down.float()).shape) == SHAPES[weight]


def _written(state: dict[str, Tensor], container: str) -> bytes:
    if container == "safetensors":
        return save(state)
    stream = io.BytesIO()
    torch.save(state, stream, _use_new_zipfile_serialization=container == "zip")
    return stream.getvalue()


SMALL = {key: tensor for key, tensor in MODULE.items() if key.startswith("down_blocks.0.motion_modules.0.")}
FILES = {container: _written(SMALL, container) for container in ("zip", "legacy", "safetensors")}


@pytest.mark.filterwarnings("ignore::UserWarning")
@cases(300)
@given(
    st.sampled_from(sorted(FILES)),
    st.floats(0, 1),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
)
def test_bytes(tmp_path: Path, container: str, kept: float, flips: list[tuple[float, int]]) -> None:
    """Files cut off anywhere, with bytes changed anywhere, most often in the header."""
    content = bytearray(FILES[container])
    for where, value in flips:
        content[int(where**4 * (len(content) - 1))] = value
    content = content[: int(kept * len(content))] if kept < 0.9 else content
    path = tmp_path / f"mm.{'safetensors' if container == 'safetensors' else 'ckpt'}"
    path.write_bytes(content)
    try:
        file = read_file(path)
        read_motion_module(file)
    except ValueError as error:
        assert path.name in str(error)
    else:
        raise AssertionError("one block is no motion module")
