"""Motion modules with other positions and weights, against files whose tensors were changed by hand."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import comfy.model_management
import pytest
import torch
from animatediff_native.demo import synthetic
from animatediff_native.nodes.adjust import AdjustMotionPositions, AdjustMotionWeights
from animatediff_native.sampling.modules.adjust import with_positions, with_weights
from animatediff_native.sampling.modules.changes import PositionChange, WeightChange, groups_of
from animatediff_native.sampling.modules.load import load_motion_module
from animatediff_native.sampling.modules.motion_lora import with_motion_lora
from animatediff_native.sampling.modules.settings import config_of, curved_loras, settings_of, with_settings
from animatediff_native.sampling.run.animate import animate
from animatediff_native.sampling.timeline.curve import make_curve
from animatediff_native.sampling.windows.options import WindowOptions
from animatediff_tests.tiny import CHANNELS, lora_file, motion_file, run_ksampler
from safetensors.torch import save_file
from torch import Tensor

SWEETSPOT = PositionChange(keep=16, stretch_to=18)
MORE = WeightChange(all=0.1, positions=-0.2, attention=0.3, query=-0.1, key=0.2, value=0.4, out_weight=-0.3, out_bias=0.5, other=-0.05)
FACTORS = {"positions": 0.8, "query": 1.3 * 0.9, "key": 1.3 * 1.2, "value": 1.3 * 1.4, "out_weight": 1.3 * 0.7, "out_bias": 1.3 * 1.5, "other": 0.95}
"""What MORE multiplies with beside 1.1."""


def distance(a: Tensor, b: Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


def group(key: str) -> str:
    """The innermost group of a tensor, by the names of the files."""
    if "attention_blocks" not in key:
        return "other"
    marks = {"pos_encoder": "positions", "to_q": "query", "to_k": "key", "to_v": "value", "to_out.0.weight": "out_weight", "to_out.0.bias": "out_bias"}
    return next(name for mark, name in marks.items() if mark in key)


def stretched(table: Tensor, rows: int) -> Tensor:
    """Row by row: the middle of each new row, in old rows, and the two that it lies between."""
    had = table.shape[1]
    out = []
    for i in range(rows):
        at = max((i + 0.5) * had / rows - 0.5, 0.0)
        low = int(at)
        high, share = min(low + 1, had - 1), at - low
        out.append((1 - share) * table[:, low].double() + share * table[:, high].double())
    return torch.stack(out, dim=1).float()


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """The tensors of a v2 module."""
    return synthetic.motion_module(channels=CHANNELS, mid=True, positions=32, seed=1)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, state: dict[str, Tensor]) -> Path:
    return written(tmp_path_factory.mktemp("adjust"), state)


def written(folder: Path, state: dict[str, Tensor], name: str = "mm") -> Path:
    path = folder / f"{name}.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, path)
    return path


def tables(motion: Any) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in motion.model.state_dict().items() if key.endswith(".pe")}


# --- positions -------------------------------------------------------------------------------------------------------


def test_positions_in_their_order() -> None:
    table = torch.randn(1, 32, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(SWEETSPOT.table(table), stretched(table[:, :16], 18), atol=1e-6)
    assert torch.allclose(PositionChange(stretch_by=5).table(table), stretched(table, 37), atol=1e-5)
    every = PositionChange(stretch_by=4, skip=3, keep=12, stretch_to=20, skip_after=2)
    assert torch.allclose(every.table(table), stretched(stretched(table, 36)[:, 3:15], 20)[:, 2:], atol=1e-5)
    assert torch.equal(PositionChange(keep=40, skip=2).table(table), table[:, 2:])
    assert PositionChange(stretch_to=8).table(table.half()).dtype == torch.float32


@pytest.mark.parametrize("change", [PositionChange(skip=32), PositionChange(keep=4, skip_after=4), PositionChange(skip=40, stretch_to=8)])
def test_at_least_one_position_is_left(motion, change: PositionChange) -> None:
    with pytest.raises(ValueError, match=rf"No position would be left of 32: skip_first {change.skip} and skip_after {change.skip_after}"):
        with_positions(motion, change)


@pytest.mark.parametrize("loras", ["none", "before", "after"])
def test_stretched_positions_are_those_of_a_file_with_such_tables(model, state, path: Path, loras: str, tmp_path: Path) -> None:
    changed = {key: stretched(tensor[:, :16], 18) if key.endswith(".pe") else tensor for key, tensor in state.items()}
    reference, adjusted = load_motion_module(written(tmp_path, changed)), load_motion_module(path)
    adjusted = with_motion_lora(adjusted, lora_file(tmp_path), 0.8) if loras == "before" else adjusted
    adjusted = AdjustMotionPositions.execute(adjusted, 16, 18).result[0]
    adjusted = with_motion_lora(adjusted, lora_file(tmp_path), 0.8) if loras == "after" else adjusted
    reference = reference if loras == "none" else with_motion_lora(reference, lora_file(tmp_path), 0.8)
    context = {"none": None, "before": WindowOptions(14, 4), "after": WindowOptions(14, 4, views=True)}[loras]
    clips = [run_ksampler(animate(model, given, context), frames=18, steps=1) for given in (adjusted, reference, load_motion_module(path))]
    assert distance(clips[0], clips[1]) < 1e-5 and distance(clips[2], clips[1]) > 1e-3


def test_the_limit_follows_the_positions(model, motion) -> None:
    adjusted = with_positions(motion, SWEETSPOT)
    assert config_of(adjusted).positions == 18 and config_of(motion).positions == 32
    with pytest.raises(ValueError, match="handles at most 18 frames at once; this latent has 20"):
        run_ksampler(animate(model, adjusted), frames=20)
    with pytest.raises(ValueError, match="handles at most 18 frames at once, context_length is 20"):
        animate(model, adjusted, WindowOptions(20, 4))
    assert run_ksampler(animate(model, with_positions(motion, PositionChange(stretch_by=8))), frames=40, steps=1, size=4).shape[0] == 40


def test_nothing_else_is_copied_or_changed(model, path: Path) -> None:
    """The weights are those of the given module, in memory too, and both can be used in turn."""
    def clip(module: Any) -> Tensor:
        return run_ksampler(animate(model, module).clone(), frames=4, steps=1)

    given = load_motion_module(path)
    with_lora = with_motion_lora(given, lora_file(path.parent), 1.0)
    before = clip(with_lora)  # leaves merged weights loaded
    adjusted = with_positions(given, SWEETSPOT)
    theirs, ours = given.model.state_dict(), adjusted.model.state_dict()
    shared = [key for key in ours if ours[key].data_ptr() == theirs[key].data_ptr()]
    assert len(ours) - len(shared) == len(tables(given)) == 42
    assert all(table.shape[1] == 32 for table in tables(given).values())
    first, plain = clip(adjusted), clip(given)
    assert torch.equal(clip(adjusted), first) and torch.equal(clip(with_lora), before) and torch.equal(clip(given), plain)
    assert distance(first, plain) > 1e-3


def test_what_travels_on_the_module_is_kept(motion, tmp_path: Path) -> None:
    given = with_settings(with_motion_lora(motion, lora_file(tmp_path), make_curve("0: 0, -1: 1")), influence=0.5, end_percent=0.7)
    adjusted = with_weights(with_positions(given, SWEETSPOT), MORE)
    settings = settings_of(adjusted)
    assert (settings.influence, settings.end_percent, settings.loras) == (0.5, 0.7, settings_of(given).loras)
    assert len(curved_loras(adjusted)) == 1
    assert settings.adjustments == ("positions: 18 in place of 32", "weights: multiply, 546 of the tensors")


@pytest.mark.parametrize("change", [SWEETSPOT, MORE, WeightChange("add", attention=0.01)], ids=["positions", "multiply", "add"])
def test_the_host_can_make_it_again(model, path: Path, change: Any) -> None:
    """As when it needs a copy outside of its dynamic VRAM management."""
    adjust = with_positions if isinstance(change, PositionChange) else with_weights
    adjusted = adjust(with_positions(load_motion_module(path), PositionChange(stretch_by=1)), change)
    load, arguments = adjusted.cached_patcher_init
    again = adjusted.clone(model_override=load(*arguments, disable_dynamic=True).get_clone_model_override())
    assert again.model is not adjusted.model and config_of(again) == config_of(adjusted)
    clips = [run_ksampler(animate(model, given), steps=1, frames=8) for given in (adjusted, again)]
    assert torch.equal(*clips)


# --- weights ---------------------------------------------------------------------------------------------------------


def test_groups(state) -> None:
    for key in state:
        names = groups_of(key)
        assert names[-1] == group(key) and names[0] == "all" and ("attention" in names) == (group(key) not in ("positions", "other"))
    assert {name for key in state for name in groups_of(key)} == {f.name for f in fields(WeightChange)} - {"operation"}


@pytest.mark.parametrize("operation", ["multiply", "add"])
@pytest.mark.parametrize("loras", ["none", "before", "after"])
def test_weights_are_those_of_a_file_that_was_changed(model, state, path: Path, operation: str, loras: str, tmp_path: Path) -> None:
    """A motion LoRA is added to the changed weights, wherever the node stands."""
    terms = {name: (MORE.all + getattr(MORE, name) + (0.3 if name not in ("positions", "other") else 0)) / 20 for name in FACTORS}
    changed = {key: t * 1.1 * FACTORS[group(key)] if operation == "multiply" else t + terms[group(key)] for key, t in state.items()}
    amounts = {f.name: getattr(MORE, f.name) / (1 if operation == "multiply" else 20) for f in fields(WeightChange)[1:]}
    reference, adjusted = load_motion_module(written(tmp_path, changed)), load_motion_module(path)
    adjusted = with_motion_lora(adjusted, lora_file(tmp_path), 0.8) if loras == "before" else adjusted
    adjusted = AdjustMotionWeights.execute(adjusted, operation, **amounts).result[0]
    adjusted = with_motion_lora(adjusted, lora_file(tmp_path), 0.8) if loras == "after" else adjusted
    reference = reference if loras == "none" else with_motion_lora(reference, lora_file(tmp_path), 0.8)
    clips = [run_ksampler(animate(model, given), steps=1) for given in (adjusted, reference, load_motion_module(path))]
    assert distance(clips[0], clips[1]) < 1e-5 and distance(clips[2], clips[1]) > 1e-2
    assert torch.equal(run_ksampler(animate(model, adjusted), steps=1), clips[0]), "loaded, unloaded and loaded again"


def test_several_changes_act_in_the_order_of_their_nodes(model, state, path: Path, tmp_path: Path) -> None:
    """Multiplied, then added to, with a LoRA between them, and positions stretched last."""
    changed = {key: stretched(t[:, :16], 18) * 1.3 + 0.01 if key.endswith(".pe") else t * 1.3 + 0.01 for key, t in state.items()}
    reference = with_motion_lora(load_motion_module(written(tmp_path, changed)), lora_file(tmp_path), 0.8)
    adjusted = with_motion_lora(with_weights(load_motion_module(path), WeightChange(all=0.3)), lora_file(tmp_path), 0.8)
    adjusted = with_positions(with_weights(adjusted, WeightChange("add", all=0.01)), SWEETSPOT)
    clips = [run_ksampler(animate(model, given), steps=1) for given in (adjusted, reference)]
    assert distance(*clips) < 2e-5


def test_amounts_of_0_change_nothing(model, motion) -> None:
    """Not a bit; and the module given is not changed by any amount."""
    plain = run_ksampler(animate(model, motion), steps=1)
    for operation in ("multiply", "add"):
        same = AdjustMotionWeights.execute(motion, operation, 0.0, 0.0, 0.0, 0.0).result[0]
        assert same.model is motion.model and not same.patches and torch.equal(run_ksampler(animate(model, same), steps=1), plain)
    assert AdjustMotionPositions.execute(motion, 0, 0).result[0].model is motion.model
    with_weights(motion, MORE)
    assert torch.equal(run_ksampler(animate(model, motion), steps=1), plain)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_files_in_half_precision(model, state, half: torch.dtype, tmp_path: Path) -> None:
    """Computed in single precision and kept in that of the file; on disk and in memory nothing is written to."""
    path = written(tmp_path, {key: tensor.to(half) for key, tensor in state.items()})
    content = path.read_bytes()
    adjusted = with_positions(with_weights(load_motion_module(path), MORE), SWEETSPOT)
    wanted = {key: tensor.to(half).float() * (1.1 * FACTORS[group(key)]) for key, tensor in state.items()}
    wanted = {key: stretched(t[:, :16], 18) if key.endswith(".pe") else t.to(half) for key, t in wanted.items()}
    reference = load_motion_module(written(tmp_path, wanted, "wanted"))
    assert all(torch.allclose(table, wanted[key], atol=1e-5) for key, table in tables(adjusted).items())
    clips = [run_ksampler(animate(model, given), steps=1) for given in (adjusted, reference)]
    assert distance(*clips) < (1e-3 if half == torch.float16 else 1e-2), "a product at the middle of two numbers"
    assert path.read_bytes() == content
    assert all(torch.equal(t, state[key].to(half)) for key, t in load_motion_module(path).model.state_dict().items())


def test_offloaded_weights_are_changed_as_well(state, path: Path, tmp_path: Path) -> None:
    """Weights that do not fit the device are changed when they are used."""
    comfy.model_management.unload_all_models()
    adjusted = with_motion_lora(with_weights(load_motion_module(path), MORE), lora_file(tmp_path), 0.8)
    changed = {key: tensor * 1.1 * FACTORS[group(key)] for key, tensor in state.items()}
    reference = with_motion_lora(load_motion_module(written(tmp_path, changed)), lora_file(tmp_path), 0.8)
    device, outs = comfy.model_management.get_torch_device(), []
    x = torch.randn(16, 128, 3, 3, generator=torch.Generator().manual_seed(0))
    for given in (adjusted, reference):
        given.patch_model(device_to=device, lowvram_model_memory=20_000, load_weights=True)
        assert given.model.model_lowvram
        outs.append(given.model.sites()["middle", 0](x, 16))
        given.detach()
    assert distance(outs[0] - x, outs[1] - x) < 1e-5


# --- files without positions -----------------------------------------------------------------------------------------


def test_positions_that_are_not_stored(model, tmp_path: Path) -> None:
    """AnimateLCM's are computed: they are changed too, unless only stored ones are asked for."""
    motion = load_motion_module(motion_file(tmp_path, "lcm", seed=3))
    assert not settings_of(motion).stores_positions
    left = AdjustMotionPositions.execute(motion, 16, 18, only_stored=True).result[0]
    assert config_of(left).positions == 64 and settings_of(left).adjustments == ("positions: not changed, the file stores none",)
    assert config_of(AdjustMotionPositions.execute(motion, 16, 18).result[0]).positions == 18
    weights = AdjustMotionWeights.execute(motion, "multiply", 0.01, 0.0, 0.0, 0.0, only_stored=True).result[0]
    assert all(torch.equal(table, tables(motion)[key]) for key, table in tables(weights).items()) and len(weights.patches) == 546
    both = AdjustMotionWeights.execute(motion, "multiply", 0.01, 0.0, 0.0, 0.0).result[0]
    assert all(torch.allclose(table, 1.01 * tables(motion)[key]) for key, table in tables(both).items())
    clips = [run_ksampler(animate(model, given), steps=1) for given in (weights, both)]
    assert distance(*clips) > 1e-4


@pytest.mark.parametrize("version", ["v1", "v3", "hotshot", "sdxl"])
def test_every_family_takes_both(version: str, tmp_path: Path) -> None:
    motion = load_motion_module(motion_file(tmp_path, version, seed=3))
    adjusted = with_weights(with_positions(motion, SWEETSPOT), WeightChange(all=0.01))
    assert config_of(adjusted).positions == 18 and settings_of(motion).stores_positions
    assert set(adjusted.patches) == {key for key, _ in motion.model.named_parameters()}
