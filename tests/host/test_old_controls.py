"""Graphs of Advanced-ControlNet, rewritten by the expanders of its hidden nodes and run here: frame i gets what it got there.

The numbers are those of that pack's formulas, worked out by hand; ``tests/server/test_old_graphs.py`` runs the same nodes hidden.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import comfy.controlnet
import folder_paths
import pytest
import torch
from animatediff_native.demo.example_inputs import t2i_adapter
from animatediff_native.demo.tiny_sparse_control import sparse_control
from animatediff_native.nodes.legacy import PACKS, known_rows
from animatediff_native.nodes.legacy.adapter import expanded
from animatediff_native.nodes.legacy.convert import Report, converted_prompt
from animatediff_native.nodes.schedule import ApplyControlCurve, SetControlCurve, ValueCurve
from animatediff_native.nodes.sparse_control import SparseCtrlApply, SparseCtrlFrames, SparseCtrlImages
from animatediff_native.sampling.controls.curve import softened
from animatediff_native.sampling.controls.sparse import SparseControl, load_sparse_control
from animatediff_native.sampling.run.animate import animate
from animatediff_native.sampling.timeline.curve import make_curve
from animatediff_native.sampling.windows.options import WindowOptions
from animatediff_tests.host.test_curves import Adding, added
from animatediff_tests.host.test_sparse_control import Encoder, clip, pictures
from animatediff_tests.old_graphs import FRAMES, SCENES
from animatediff_tests.tiny import conditioning
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

import nodes as host_nodes

IDS = """
    TimestepKeyframe ACN_TimestepKeyframeInterpolation ACN_TimestepKeyframeFromStrengthList LatentKeyframe LatentKeyframeTiming
    LatentKeyframeBatchedGroup LatentKeyframeGroup ACN_AdvancedControlNetApply_v2 ACN_AdvancedControlNetApplySingle_v2
    ACN_ControlNetLoaderAdvanced ACN_DiffControlNetLoaderAdvanced ACN_AnimaLLLiteLoaderAdvanced ACN_ScaledSoftControlNetWeights
    ScaledSoftMaskedUniversalWeights ACN_SoftControlNetWeightsSD15 ACN_CustomControlNetWeightsSD15 ACN_CustomControlNetWeightsFlux
    ACN_CustomControlNetWeightsAnima ACN_SoftT2IAdapterWeights ACN_CustomT2IAdapterWeights ACN_DefaultUniversalWeights ACN_ExtrasMiddleMult
    ACN_AnimaLLLiteExtras ACN_SparseCtrlRGBPreprocessor ACN_SparseCtrlLoaderAdvanced ACN_SparseCtrlMergedLoaderAdvanced
    ACN_SparseCtrlIndexMethodNode ACN_SparseCtrlSpreadMethodNode ACN_SparseCtrlWeightExtras ACN_ControlNet++LoaderSingle
    ACN_ControlNet++LoaderAdvanced ACN_ControlNet++InputNode ACN_CtrLoRALoader ACN_ReferencePreprocessor ACN_ReferenceControlNet
    ACN_ReferenceControlNetFinetune ScaledSoftControlNetWeights SoftControlNetWeights CustomControlNetWeights SoftT2IAdapterWeights
    CustomT2IAdapterWeights ACN_AdvancedControlNetApply ACN_AdvancedControlNetApplySingle ControlNetLoaderAdvanced
    DiffControlNetLoaderAdvanced LoadImagesFromDirectory
"""
"""What that pack registers, and registered before."""
KNOWN = {node.__name__: node for node in (ApplyControlCurve, SetControlCurve, SparseCtrlFrames, SparseCtrlImages, ValueCurve)}
PROMPTS = {"positive": ["2", 0], "negative": ["3", 0], "control_net": ["21", 0], "image": ["40", 0]}
APPLIED = {**PROMPTS, "strength": 1.0, "start_percent": 0.0, "end_percent": 1.0}
GIVEN = ("model", "vae", "positive", "negative", "image", "mask", "latent")
"""Outputs that stand for nodes of the graph around."""


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def given(image: Tensor | None = None, *, frames: int = FRAMES, mask: float = 1.0) -> dict[str, tuple[Any, ...]]:
    """Outputs of nodes 1 to 4, 28 and 40 of a scene."""
    return {
        "1": (None, None, Encoder()), "2": (conditioning(1),), "3": (conditioning(2),), "4": ({"samples": torch.zeros(frames, 4, 8, 8)},),
        "28": (torch.full((1, 64, 64), mask),), "40": (pictures(1) if image is None else image,),
    }  # fmt: skip


def ran(prompt: dict[str, Any], link: list[Any], outputs: dict[str, tuple[Any, ...]], controls: dict[str, Any]) -> Any:
    """An output of a prompt of own nodes and the host's. Loaders give what ``controls`` has for their kind."""
    key, slot = link
    if key not in outputs:
        kind, inputs = prompt[key]["class_type"], {}
        for name, value in prompt[key]["inputs"].items():
            value = ran(prompt, value, outputs, controls) if isinstance(value, list) else value
            group, _, member = name.partition(".")
            inputs[group] = {**inputs.get(group, {}), member: value} if member else value
        if kind in controls:
            outputs[key] = (controls[kind],)
        elif kind in KNOWN:
            assert set(inputs) >= {name for name, p in inspect.signature(KNOWN[kind].execute).parameters.items() if p.default is p.empty}
            outputs[key] = KNOWN[kind].execute(**inputs).result
        else:
            made = host_nodes.NODE_CLASS_MAPPINGS[kind]()
            outputs[key] = getattr(made, made.FUNCTION)(**inputs)
    return outputs[key][slot]


def rewritten(old: dict[str, Any]) -> tuple[dict[str, Any], Report]:
    """A graph with our nodes, and where the outputs of node 20 went: inputs of node 99."""
    slots = len(known_rows()[old["20"]["class_type"]].outputs)
    end = {"99": node("End", **{f"output_{slot}": ["20", slot] for slot in range(slots)})}
    new, report = converted_prompt(old | end, lambda folder, name: name)
    return new, report


def prompts_of(old: dict[str, Any], control: Any, outputs: dict[str, Any] | None = None) -> tuple[Any, Any]:
    """What the first two outputs of node 20 give, with ``control`` from the loader."""
    new, report = rewritten(old)
    assert not report.left
    found = outputs or given()
    controls = dict.fromkeys(("ControlNetLoader", "LoadSparseCtrl"), control)
    ends = [new["99"]["inputs"][f"output_{slot}"] for slot in range(2)]
    return tuple(None if end is None else ran(new, end, found, controls) for end in ends)  # type: ignore[return-value]


def adding() -> comfy.controlnet.ControlNet:
    """A control that adds its strength in every frame."""
    return comfy.controlnet.ControlNet(Adding(), load_device=torch.device("cpu"), extra_conds=[])


def by_step(model: Any, positive: Any, steps: int, frames: int = FRAMES) -> list[list[float]]:
    """What is added to each frame, per step."""
    return [[round(value, 4) for value in row] for _, row in added(model, positive, frames, steps)[::2]]


def applied(**nodes: Any) -> dict[str, Any]:
    """A graph of an Apply node (20), a loader (21) and more; ``more_`` goes to the Apply node."""
    more = nodes.pop("more", {})
    return {"20": node("ACN_AdvancedControlNetApply_v2", **{**APPLIED, **more}), "21": node("ControlNetLoaderAdvanced", control_net_name="a")} | {
        key.strip("_"): value for key, value in nodes.items()
    }


# --- all of them -----------------------------------------------------------------------------------------------------


def test_every_id_is_there() -> None:
    rows = [row.id for pack in ("Advanced-ControlNet", "images of a folder") for row in PACKS[pack]]
    assert sorted(rows) == sorted(IDS.split())


# --- frames ----------------------------------------------------------------------------------------------------------


def latents(kind: str, **inputs: Any) -> dict[str, Any]:
    return applied(_24=node(kind, **inputs), _25=node("LatentKeyframe", batch_index=1, strength=0.3), more={"latent_kf_override": ["24", 0]})


@pytest.mark.parametrize(
    ("graph", "wanted"),
    [
        (latents("LatentKeyframeGroup", index_strengths="0=2, 2:4 = 0.5,-1=0.8", latent_optional=["4", 0]), [2, 0, 0.5, 0.5, 0, 0, 0, 0.8]),
        (latents("LatentKeyframeGroup", index_strengths="1, 3", prev_latent_kf=["25", 0]), [0, 0.3, 0, 1, 0, 0, 0, 0]),
        (latents("LatentKeyframeGroup", index_strengths=""), [0] * 8),
        (latents("LatentKeyframe", batch_index=1, strength=0.9, prev_latent_keyframe=["25", 0]), [0, 0.9, 0, 0, 0, 0, 0, 0]),
        (latents("LatentKeyframe", batch_index=-2, strength=0.9, prev_latent_kf=["25", 0]), [0, 0.3, 0, 0, 0, 0, 0.9, 0]),
        (latents("LatentKeyframe", batch_index=-7, strength=0.9, prev_latent_kf=["25", 0]), [0, 0.3, 0, 0, 0, 0, 0, 0]),
        (latents("LatentKeyframe", batch_index=40, strength=0.9), [0] * 8),
        (latents("LatentKeyframeTiming", batch_index_from=2, batch_index_to_excl=7, strength_from=1.0, strength_to=0.2, interpolation="ease-in"),
         [0, 0, 1, 0.95, 0.8, 0.55, 0.2, 0]),
        (latents("LatentKeyframeTiming", batch_index_from=-3, batch_index_to_excl=-1, strength_from=1.0, strength_to=0.2,
                 interpolation="linear", prev_latent_keyframe=["25", 0]), [0, 0.3, 0, 0, 0, 1, 0.2, 0]),
        (latents("LatentKeyframeBatchedGroup", float_strengths=0.5, prev_latent_kf=["25", 0]), [0, 0.3, 0, 0, 0, 0, 0, 0]),
    ],
)  # fmt: skip
def test_frames_with_a_latent_keyframe_and_all_others(model, graph: dict[str, Any], wanted: list[float]) -> None:
    """Others get nothing; of two for one frame, the one that counts from the start is used, as is the previous one of a group."""
    assert by_step(model, prompts_of(graph, adding())[0], 1) == [pytest.approx(wanted, abs=1e-3)]


def test_a_list_is_a_strength_per_frame_and_then_nothing(model) -> None:
    row = known_rows()["LatentKeyframeBatchedGroup"]
    made, _ = rewritten(applied(_24=node(row.id, float_strengths=["50", 0]), more={"latent_kf_override": ["24", 0]}))
    assert "LatentKeyframeBatchedGroup" in {entry["class_type"] for entry in made.values()}, "its list is not known before a run"
    data = expanded(row, {"float_strengths": [0.5, 1.0]}).result[0]
    assert data == ((0, 0.5), (1, 1.0))


def test_a_group_in_a_latent_counts_its_ranges_from_the_end() -> None:
    row = known_rows()["LatentKeyframeGroup"]
    latent = {"samples": torch.zeros(6, 4, 8, 8)}
    data = expanded(row, {"index_strengths": "-3:-1=0.5, -1", "latent_image_opt": latent}).result[0]
    assert data == ((-1, 1.0), (3, 0.5), (4, 0.5))
    with pytest.raises(ValueError, match=r"needs a latent for ranges that count from the end, such as -3:-1"):
        expanded(row, {"index_strengths": "-3:-1"})
    with pytest.raises(ValueError, match=r"needs parts such as 3=0\.5 or 2:8=0\.5, got 1-3"):
        expanded(row, {"index_strengths": "1-3"})


def test_in_windows_a_frame_keeps_its_latent_keyframe(model, motion) -> None:
    graph = latents("LatentKeyframeGroup", index_strengths="0=2, 10=0.5, -1=0.8")
    positive = prompts_of(graph, adding(), given(pictures(1)))[0]
    found = added(animate(model, motion, WindowOptions(16, 4, freenoise=False)), positive, 40)
    values = {frame: round(value, 4) for indices, row in found for frame, value in zip(indices, row, strict=True)}
    assert {frame: value for frame, value in values.items() if value} == {0: 2.0, 10: 0.5, 39: 0.8}


# --- steps -----------------------------------------------------------------------------------------------------------

KEYS = {
    "22": node("TimestepKeyframe", start_percent=0.5, strength=0.6, prev_timestep_kf=["23", 0]),
    "23": node("TimestepKeyframe", start_percent=0.2, strength=0.8, prev_timestep_kf=["24", 0]),
    "24": node("TimestepKeyframe", start_percent=0.8, strength=0.0),
}


@pytest.mark.parametrize("where", ["apply", "loader"])
def test_a_timestep_keyframe_holds_until_the_next(model, where: str) -> None:
    """Steps at 0, 0.2, 0.4, 0.6, 0.8 and 1 of the run; before the first keyframe the strength is 1."""
    graph = applied(**{f"_{key}": value for key, value in KEYS.items()}, more={"timestep_kf": ["22", 0]} if where == "apply" else {})
    if where == "loader":
        graph["21"]["inputs"]["tk_optional"] = ["22", 0]
    found = by_step(model, prompts_of(graph, adding())[0], 6, 1)
    assert [row[0] for row in found] == [1, 0.8, 0.8, 0.6, 0, 0]


def test_keyframes_with_other_frames_follow_each_other(model) -> None:
    """At the step where one begins, the one before has ended; what a keyframe has not, it keeps."""
    graph = applied(
        _22=node("TimestepKeyframe", start_percent=0.5, strength=0.5, latent_keyframe=["25", 0], prev_timestep_kf=["23", 0]),
        _23=node("TimestepKeyframe", start_percent=0.0, strength=2.0, latent_keyframe=["24", 0], null_latent_kf_strength=0.25),
        _24=node("LatentKeyframe", batch_index=0, strength=0.9),
        _25=node("LatentKeyframe", batch_index=1, strength=1.0),
        _26=node("TimestepKeyframe", start_percent=0.75, prev_timestep_kf=["22", 0]),
        more={"timestep_kf": ["26", 0]},
    )
    found = by_step(model, prompts_of(graph, adding())[0], 5, 3)
    assert found == [[1.8, 0.5, 0.5], [1.8, 0.5, 0.5], [0, 0.5, 0], [0, 1, 0], [0, 1, 0]]
    new, _ = rewritten(graph)
    spans = [(n["inputs"]["start_percent"], n["inputs"]["end_percent"]) for n in new.values() if n["class_type"] == "ControlNetApplyAdvanced"]
    assert spans == [(0.0, pytest.approx(0.5, abs=1e-4)), (0.5, 1.0)] and spans[0][1] < 0.5, "the third differs in strength alone"


def test_interpolated_keyframes_and_lists(model) -> None:
    graph = applied(
        _22=node("ACN_TimestepKeyframeInterpolation", start_percent=0.0, end_percent=1.0, strength_start=1.0, strength_end=0.0,
                 interpolation="linear", intervals=5),
        more={"timestep_kf": ["22", 0], "start_percent": 0.2, "end_percent": 0.8},
    )  # fmt: skip
    assert [row[0] for row in by_step(model, prompts_of(graph, adding())[0], 5, 1)] == [0, 0.75, 0.5, 0.25, 0]
    inputs = {"float_strengths": [1.0, 0.5, 0.25], "start_percent": 0.0, "end_percent": 0.5}
    keys = expanded(known_rows()["ACN_TimestepKeyframeFromStrengthList"], inputs).result[0]
    assert [(key.start, key.strength) for key in keys] == [(0.0, 1.0), (0.25, 0.5), (0.5, 0.25)]


def test_masks_multiply(model) -> None:
    graph = applied(
        _22=node("TimestepKeyframe", start_percent=0.0, mask_optional=["28", 0], latent_keyframe=["24", 0]),
        _24=node("LatentKeyframe", batch_index=0, strength=0.5),
        more={"timestep_kf": ["22", 0], "mask_optional": ["28", 0], "strength": 0.5},
    )
    assert by_step(model, prompts_of(graph, adding(), given(mask=0.8))[0], 1, 2) == [[0.16, 0]]


# --- prompts ---------------------------------------------------------------------------------------------------------


def test_a_weight_of_the_negative_prompt(model) -> None:
    """A custom weight that all blocks have is a strength; uncond_multiplier is for the negative prompt alone."""
    for multiplier, wanted in ((1.0, 0.7), (0.5, 0.35), (0.0, 0.0)):
        weights = node("CustomT2IAdapterWeights", **{f"weight_0{i}": 0.7 for i in range(4)}, uncond_multiplier=multiplier)
        graph = applied(_27=weights, more={"weights_override": ["27", 0]})
        positive, negative = prompts_of(graph, adding())
        assert by_step(model, positive, 1, 1) == [[0.7]]
        assert by_step(model, negative, 1, 1) == [[wanted]]


def test_a_control_on_one_prompt_acts_on_both_and_in_its_steps(model) -> None:
    inputs = {name: value for name, value in APPLIED.items() if name not in ("positive", "negative")}
    graph = applied()
    graph["20"] = node("ACN_AdvancedControlNetApplySingle_v2", conditioning=["2", 0], **{**inputs, "start_percent": 0.25, "end_percent": 0.75})
    positive, nothing = prompts_of(graph, adding())
    assert positive[0][1]["control_apply_to_uncond"] is True and nothing is None
    assert [row[0] for row in by_step(model, positive, 5, 1)] == [0, 1, 1, 1, 0]
    advanced = applied(more={"start_percent": 0.25, "end_percent": 0.75})
    assert by_step(model, prompts_of(advanced, adding())[0], 5, 1) == by_step(model, positive, 5, 1)


def test_what_is_passed_on() -> None:
    """Without strength no control, and the MODEL as it came."""
    graph = applied()
    graph["20"] = node("ACN_AdvancedControlNetApply", **{**APPLIED, "strength": 0.0}, model_optional=["30", 0])
    assert rewritten(graph)[0]["99"]["inputs"] == {"output_0": ["2", 0], "output_1": ["3", 0], "output_2": ["30", 0]}
    graph["20"]["inputs"] |= {"strength": 1.0, "timestep_kf": ["22", 0]}
    graph["22"] = node("TimestepKeyframe", start_percent=0.0, strength=0.0)
    assert rewritten(graph)[0]["99"]["inputs"]["output_0"] == ["2", 0]


# --- the same as with our nodes, bit for bit -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A T2I-Adapter by the host's loader."""
    path = tmp_path_factory.mktemp("adapter") / "t2i.safetensors"
    save_file(t2i_adapter(), path)
    return comfy.controlnet.load_controlnet(str(path))


@pytest.fixture(scope="module")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SparseControl]:
    """SparseCtrl models by kind."""
    folder = tmp_path_factory.mktemp("sparse")
    for kind in ("rgb", "scribble"):
        save_file(sparse_control(kind), folder / f"{kind}.safetensors")
    with torch.inference_mode():
        return {kind: load_sparse_control(folder / f"{kind}.safetensors") for kind in ("rgb", "scribble")}


def test_a_plain_apply_is_the_hosts(model, motion, adapter) -> None:
    graph = applied(more={"strength": 0.7, "start_percent": 0.1, "end_percent": 0.8, "vae_optional": ["1", 2]})
    animated, images = animate(model, motion), pictures(4)
    old = clip(animated, prompts_of(graph, adapter, given(images)), 4, steps=3)
    host = host_nodes.ControlNetApplyAdvanced().apply_controlnet(conditioning(1), conditioning(2), adapter, images, 0.7, 0.1, 0.8)
    assert torch.equal(old, clip(animated, host, 4, steps=3))
    without = clip(animated, (conditioning(1), conditioning(2)), 4, steps=3)
    assert not torch.equal(old, without)


def test_latent_keyframes_are_a_curve(model, motion, adapter) -> None:
    graph = latents("LatentKeyframeTiming", batch_index_from=0, batch_index_to_excl=4, strength_from=1.0, strength_to=0.0, interpolation="linear")
    animated = animate(model, motion)
    old = clip(animated, prompts_of(graph, adapter), 4)
    curved = SetControlCurve.execute(adapter, make_curve("0: 1, -1: 0")).result[0]
    host = host_nodes.ControlNetApplyAdvanced().apply_controlnet(conditioning(1), conditioning(2), curved, pictures(1), 1.0, 0.0, 1.0)
    torch.testing.assert_close(old, clip(animated, host, 4), rtol=1e-5, atol=1e-5)


def test_sparse_ctrl_is_ours(model, other_motion, sparse) -> None:
    """RGB by the preprocessor, and the settings of both layouts."""
    animated, images = animate(model, other_motion), pictures(2)
    for scene, kind, choices, kept in (
        ("SparseCtrl RGB of 2024", "rgb", {"placement": "spread from start", "nearest": True}, {}),
        ("SparseCtrl scribble by index", "scribble",
         {"placement": "indexes in turn", "frames": "0, 5,-1", "nearest": True, "unhinted_strength": 0.8, "motion_strength": 0.9},
         {"hinted_strength": 0.45, "presence": 0.7, "attention_scale": 1.1}),
    ):  # fmt: skip
        graph = {key: SCENES[scene][key] for key in ("20", "21", "22", "23", "25", "26") if key in SCENES[scene]}
        strength, end = (graph["20"]["inputs"][name] for name in ("strength", "end_percent"))
        if graph["20"]["class_type"] == "ControlNetApplyAdvanced":
            graph["20"]["class_type"] = "ACN_AdvancedControlNetApply"
        old = clip(animated, prompts_of(graph, sparse[kind], given() | {"24": (images,)}), FRAMES, steps=1, cfg=1.0)
        control = SparseCtrlFrames.execute(sparse[kind], resize="nearest-exact", **kept).result[0]
        ours = SparseCtrlApply.execute(
            conditioning(1), conditioning(2), control, images, strength, Encoder(), end_percent=end, **choices
        ).result
        assert torch.equal(old, clip(animated, ours, FRAMES, steps=1, cfg=1.0)), scene
        graph["23"]["inputs"] = {name: "2, 3, 4" if name == "indexes" else "ending" for name in graph["23"]["inputs"]}
        assert not torch.equal(old, clip(animated, prompts_of(graph, sparse[kind], given() | {"24": (images,)}), FRAMES, steps=1, cfg=1.0))


def test_sparse_ctrl_without_motion_and_with_keyframes_on_its_loader(model, sparse) -> None:
    graph = applied(
        _21=node("ACN_SparseCtrlLoaderAdvanced", sparsectrl_name="a", use_motion=False, motion_strength=1.04, motion_scale=1.0, tk_optional=["22", 0],
                 context_aware="off"),
        _22=node("TimestepKeyframe", start_percent=0.0, strength=0.5), more={"vae_optional": ["1", 2]},
    )  # fmt: skip
    control = prompts_of(graph, sparse["rgb"], given())[0][0][1]["control"]
    settings = control.innermost.settings
    assert (settings.placement, settings.motion, settings.nearest, settings.resize) == ("spread", 0.0, False, "nearest-exact")
    assert control.curve.constant == 0.5


def test_soft_weights_by_block() -> None:
    """Of 12 blocks of a ControlNet the first gets 0.5^12 and the last 0.5, the middle 1; an adapter's levels 1, 0.5, 0.25 and 0.5^7."""
    ones = [torch.ones(1, 1, 1, 1) for _ in range(12)]
    made = softened({"output": ones, "middle": ones[:1], "input": [None if i % 3 else x for i, x in enumerate(ones)]}, 0.5)
    assert [float(x) for x in made["output"]] == [0.5**power for power in range(12, 0, -1)] and float(made["middle"][0]) == 1
    assert [x and float(x) for x in made["input"]] == [1, None, None, 0.5, None, None, 0.25, None, None, 0.5**7, None, None]
    assert float(ones[0]) == 1, "what the control gives is not changed"


# --- a curve on the CONTROL_NET --------------------------------------------------------------------------------------


def test_a_curve_before_the_control_is_applied(model) -> None:
    plain = adding()
    curved = SetControlCurve.execute(plain, make_curve("0: 0.5, -1: 1.5")).result[0]
    again = SetControlCurve.execute(curved, 2.0, block_falloff=0.5).result[0]
    pair = conditioning(1), conditioning(2)
    positive, _ = host_nodes.ControlNetApplyAdvanced().apply_controlnet(*pair, again, pictures(1), 0.5, 0.0, 0.5)
    assert by_step(model, positive, 3, 3) == [[0.5, 1, 1.5], [0.5, 1, 1.5], [0, 0, 0]]
    other, _ = host_nodes.ControlNetApplyAdvanced().apply_controlnet(*pair, curved, pictures(1), 1.0, 0.0, 1.0)
    assert by_step(model, other, 1, 2) == [[0.5, 1.5]], "an application does not change the other"
    assert plain.cond_hint_original is None and curved.innermost.cond_hint_original is None
    with pytest.raises(ValueError, match=r"Needed a ControlNet, T2I-Adapter or SparseCtrl; got str\. Connect one from its loader\."):
        SetControlCurve.execute("control", 1.0)


# --- what is not done ------------------------------------------------------------------------------------------------


def notes(graph: dict[str, Any]) -> str:
    report = rewritten(graph)[1]
    assert not report.left
    return " ".join(report.notes)


def falloffs(graph: dict[str, Any]) -> list[float]:
    new, report = rewritten(graph)
    assert report.notes == report.left == []
    return [n["inputs"]["block_falloff"] for n in new.values() if "block_falloff" in n["inputs"]]


def test_weights_that_are_scaled_from_block_to_block() -> None:
    """Wherever they are connected; the soft weights of SD1.5 are the same with their default of 0.825."""
    weights = {"_23": node("ScaledSoftControlNetWeights", base_multiplier=0.8, flip_weights=False)}
    on_loader = applied(**weights)
    on_loader["21"]["inputs"]["timestep_keyframe"] = ["23", 1]
    assert falloffs(on_loader) == [0.8]
    graph = applied(**weights, more={"weights_override": ["23", 0]})
    assert falloffs(graph) == [0.8]
    for name, wanted in (("ACN_ScaledSoftControlNetWeights", [0.825]), ("SoftControlNetWeights", [0.825]), ("CustomControlNetWeights", [])):
        assert falloffs(applied(_23=node(name), more={"weights_override": ["23", 0]})) == wanted, name


def test_weights_by_block_say_what_they_meant() -> None:
    words = "a weight of its own for each block has no equal here; all blocks count alike"
    for name, more in (("ACN_SoftT2IAdapterWeights", {}), ("CustomControlNetWeights", {"weight_03": 0.5}), ("ACN_SoftControlNetWeightsSD15", {"output_3": 1})):
        assert words in notes(applied(_23=node(name, **more), more={"weights_override": ["23", 0]})), name
    extras = {"_24": node("ACN_ExtrasMiddleMult", middle_mult=0.5), "_23": node("ACN_DefaultUniversalWeights", cn_extras=["24", 0])}
    assert "Default Weights: a weight of its own" in notes(applied(**extras, more={"weights_override": ["23", 0]}))


def test_keyframes_that_a_loader_cannot_carry() -> None:
    graph = applied(_22=node("TimestepKeyframe", start_percent=0.5, latent_keyframe=["24", 0], guarantee_steps=3), _24=node("LatentKeyframe"))
    graph["21"]["inputs"]["timestep_keyframe"] = ["22", 0]
    said = notes(graph)
    assert "on a loader, the last ones hold from the beginning" in said and "guarantee_steps has no effect here" in said


def test_controls_without_an_equal() -> None:
    graph = applied(_21=node("ACN_ReferenceControlNet", reference_type="reference_attn", style_fidelity=0.5, ref_weight=1.0))
    report = rewritten(graph)[1]
    assert report.left[0].startswith("Reference ControlNet (21): Reference ControlNet has no equal here. Mute it and the nodes that use it")


def test_union_controls() -> None:
    """ControlNet++ with one image is the host's, by type."""
    graph = applied(
        _21=node("ACN_ControlNet++LoaderAdvanced", name="union", plus_input=["26", 0]),
        _26=node("ACN_ControlNet++InputNode", image=["40", 0], control_type="canny/lineart/mlsd"),
    )
    graph["20"]["inputs"]["image"] = ["21", 1]
    new, _ = rewritten(graph)
    assert next(n["inputs"]["type"] for n in new.values() if n["class_type"] == "SetUnionControlNetType") == "canny/lineart/anime_lineart/mlsd"
    assert next(n["inputs"]["image"] for n in new.values() if n["class_type"] == "ControlNetApplyAdvanced") == ["40", 0]
    graph["26"]["inputs"]["prev_plus_input"] = ["27", 0]
    graph["27"] = node("ACN_ControlNet++InputNode", image=["40", 0], control_type="depth")
    assert any("takes one image here, got 2. Load the ControlNet once per image" in line for line in rewritten(graph)[1].left)


# --- images of a folder ----------------------------------------------------------------------------------------------


def test_images_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of names; numbers count files that are no images too, as there."""
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path))
    (tmp_path / "frames" / "more").mkdir(parents=True)
    for number in range(60):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / "frames" / f"{number:03}.png")
    (tmp_path / "frames" / "000.txt").write_text("no image")
    new, report = rewritten({"20": node("LoadImagesFromDirectory", directory=str(tmp_path / "frames"), image_load_cap=55, start_index=3)})
    assert not report.left and new["99"]["inputs"]["output_2"] == 55
    names = [n["inputs"]["image"] for n in new.values() if n["class_type"] == "LoadImage"]
    assert names == [f"frames/{number:03}.png" for number in range(2, 57)]
    batches = [len(n["inputs"]) for n in new.values() if n["class_type"] == "BatchImagesNode"]
    assert batches == [50, 5, 2], "the host's node takes 50 at once"
    for directory in (str(tmp_path.parent), "../x", "nowhere", "frames/more"):
        left = rewritten({"20": node("LoadImagesFromDirectory", directory=directory)})[1].left
        assert "needs a folder with images inside ComfyUI's input folder, got" in left[0]
