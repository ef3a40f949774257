"""Schedules of FizzNodes and AnimateDiff-Evolved: what their nodes expand to gives the prompts and numbers that they gave."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import comfy.sd
import comfy.supported_models
import pytest
import torch
from animatediff_native.demo.tiny_checkpoint import checkpoint
from animatediff_native.nodes import schedule
from animatediff_native.nodes.legacy import known_rows
from animatediff_native.nodes.legacy.adapter import expanded, node_of
from animatediff_native.nodes.legacy.convert import converted_prompt
from animatediff_native.nodes.legacy.rows import is_link
from animatediff_native.sampling.prompts.plan import TravelOptions
from animatediff_native.sampling.prompts.travel import frame_of, travel
from animatediff_native.sampling.timeline.curve import as_strength
from comfy_extras import nodes_primitive

PACK = Path(__file__).resolve().parents[2] / "demo" / "tiny_models_pack" / "__init__.py"
CLIP, LATENT = ["clip", 0], {"samples": torch.zeros(8, 4, 8, 8), "noise_mask": torch.ones(8, 1, 8, 8)}
KINDS = {
    "AnimateDiffPromptTravel": schedule.PromptTravel,
    "PromptOfFrame": schedule.PromptOfFrame,
    "ValueCurve": schedule.ValueCurve,
    "PrimitiveFloat": nodes_primitive.Float,
    "PrimitiveStringMultiline": nodes_primitive.StringMultiline,
}
"""What schedules expand to."""
TEXT = '"0" :"a cat (smile:`pw_a`)",\n"7" :"a dog --neg dark",\n'
AROUND = {"pre_text": "best", "app_text": "sharp --neg low"}
Run = Callable[..., tuple[Any, ...]]


@pytest.fixture(scope="module")
def clip() -> Iterator[Any]:
    """The CLIP of a tiny SD1.5 checkpoint."""
    known = list(comfy.supported_models.models)
    spec = importlib.util.spec_from_file_location("tiny_models_pack", PACK)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    with torch.inference_mode():
        yield comfy.sd.load_state_dict_guess_config(checkpoint(), output_vae=False, output_clip=True, output_model=False)[1]
    comfy.supported_models.models[:] = known


@pytest.fixture
def run(clip, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs an old node and the nodes that it expands to; gives its outputs."""
    monkeypatch.setattr(schedule.ui, "PreviewImage", lambda *_, **__: None)

    def outputs(kind: str, /, **inputs: Any) -> tuple[Any, ...]:
        given = {"clip": CLIP, **inputs} if "clip" in known_rows()[kind].known_names() else inputs
        made = expanded(known_rows()[kind], given)
        known: dict[str, Any] = {"clip": (clip,)}

        def value(of: Any) -> Any:
            return known[of[0]][of[1]] if is_link(of) and of[0] in known else of

        for key, node in (made.expand or {}).items():
            plain = {name: value(of) for name, of in node["inputs"].items()}
            numbers = {name.split(".")[1]: plain.pop(name) for name in list(plain) if "." in name}
            known[key] = KINDS[node["class_type"]].execute(**plain, **({"values": numbers} if numbers else {})).args
        return tuple(value(of) for of in made.args)

    return outputs


def equal(got: Any, wanted: Any) -> bool:
    """Whether two CONDITIONINGs are the same, number for number."""
    return len(got) == len(wanted) == 1 and all(
        a.shape == b.shape and torch.equal(a, b)
        for a, b in ((got[0][0], wanted[0][0]), (got[0][1]["pooled_output"], wanted[0][1]["pooled_output"]))
    )


def as_fizz(start: int = 0, total: int = 0, weight: Any = 0.5, before: str = "best", after: str = "sharp --neg low") -> TravelOptions:
    values = {"a": as_strength(weight), **dict.fromkeys("bcd", 0.0)}
    return TravelOptions(before, after, joint="spaces", padding="zeros", start_frame=start, timeline_frames=total, values=values)


def sent(kind: str, **inputs: Any) -> dict[str, Any]:
    """What the last node that an old node expands to is given, with the numbers of the others in place of links."""
    nodes = expanded(known_rows()[kind], inputs).expand
    *_, last = nodes.values()
    return {name: nodes[of[0]]["inputs"]["value"] if is_link(of) and of[0] in nodes else of for name, of in last["inputs"].items()}


# --- FizzNodes: prompts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cut", "start", "shown", "total"),
    [
        ({}, 0, 8, 0),
        ({"start_frame": 2}, 0, 10, 0),  # a file without an end: longer, and not cut
        ({"start_frame": 2, "end_frame": 0}, 2, 6, 8),
        ({"start_frame": 2, "end_frame": 6}, 2, 4, 8),
        ({"start_frame": 6, "end_frame": 2}, 0, 2, 8),
        ({"end_frame": 20}, 0, 8, 8),
    ],
)
def test_a_batch_of_prompts_is_a_travel(run: Run, clip, cut: dict[str, int], start: int, shown: int, total: int) -> None:
    wanted = travel(clip, TEXT, shown, as_fizz(start, total))
    positive, negative = run("BatchPromptSchedule", text=TEXT, max_frames=8, pw_a=0.5, **AROUND, **cut)
    assert equal(positive, wanted.positive) and equal(negative, wanted.negative)
    assert positive[0][0].shape[0] == shown
    positive, negative, latent = run("BatchPromptScheduleLatentInput", text=TEXT, num_latents=LATENT, pw_a=0.5, **AROUND, **cut)
    assert equal(positive, wanted.positive) and equal(negative, wanted.negative) and latent is LATENT


def test_a_list_of_weights_is_one_per_frame(run: Run, clip) -> None:
    weights = [i / 8 for i in range(8)]
    wanted = travel(clip, TEXT, 8, as_fizz(weight=weights, before="", after=""))
    assert equal(run("BatchPromptSchedule", text=TEXT, max_frames=8, pw_a=weights)[0], wanted.positive)
    assert not equal(run("BatchPromptSchedule", text=TEXT, max_frames=8, pw_a=1.0)[0], wanted.positive)


def test_a_weight_is_0_where_a_text_names_it() -> None:
    inputs = {"clip": CLIP, "max_frames": 8, "pw_c": ["9", 0]}
    assert {name: value for name, value in sent("BatchPromptSchedule", text=TEXT, **inputs).items() if "." in name} == {"values.a": 0.0, "values.c": ["9", 0]}
    assert not [name for name in sent("BatchPromptSchedule", text="0: a cat", clip=CLIP, max_frames=8) if "." in name]


def test_one_frame_starts_again_after_the_last(run: Run, clip) -> None:
    wanted = travel(clip, TEXT, 1, as_fizz(3, 8))
    for frame in (3, 11):
        positive, negative = run("PromptSchedule", text=TEXT, max_frames=8, current_frame=frame, pw_a=0.5, **AROUND)
        assert equal(positive, wanted.positive) and equal(negative, wanted.negative)


def test_keyframes_from_node_to_node(run: Run, clip) -> None:
    length, text = run("PromptScheduleNodeFlow", text="a cat", num_frames=4)
    assert (length, text) == (4, '"0": "a cat"')
    length, text = run("PromptScheduleNodeFlow", text="a dog", num_frames=4, in_text=f"{text},", max_frames=length)
    assert (length, text) == (8, '"0": "a cat", "8": "a dog"')
    wanted = travel(clip, text, 1, as_fizz(6, 8, before="", after=""))
    assert equal(run("PromptScheduleNodeFlowEnd", text=f"{text},", max_frames=length, current_frame=6)[0], wanted.positive)


def test_texts_of_frames(run: Run) -> None:
    text = '"0":"a cat (x:`t / 16`)","8":"a dog --neg dark"'
    assert run("StringSchedule", text=text, max_frames=16, current_frame=19, **AROUND) == ("best a cat (x:0.1875) sharp", "low")
    positive, negative = run("BatchStringSchedule", text='"0":"a cat (x:`pw_b`)","2":"a dog --neg dark"', max_frames=3, pw_b=[1.0, 0.5, 0.25])
    assert positive == ["a cat (x:1)", "a cat (x:0.5)", "a dog"] and negative == ["", "", "dark"]


def test_prompts_for_sdxl_are_those_of_the_larger_encoder(run: Run, clip, caplog: pytest.LogCaptureFixture) -> None:
    texts = {"text_g": TEXT, "text_l": '"0": "a bird"', "pre_text_G": "best", "app_text_G": "sharp --neg low", "pw_a": 0.5}
    wanted = travel(clip, TEXT, 4, as_fizz(2, 8))
    assert equal(run("BatchPromptScheduleEncodeSDXL", **texts, max_frames=8, start_frame=2, end_frame=6)[0], wanted.positive)
    assert "text_l has no effect" in caplog.text
    *_, latent = made = run("BatchPromptScheduleSDXLLatentInput", **texts, num_latents=LATENT, start_frame=2, end_frame=6)
    assert equal(made[1], travel(clip, TEXT, 6, as_fizz(0, 8)).negative) and latent is LATENT  # its start has no effect
    assert equal(run("PromptScheduleEncodeSDXL", **texts, max_frames=8, current_frame=11)[0], travel(clip, TEXT, 1, as_fizz(3, 8)).positive)
    assert "width, height, crop and target have no effect" in caplog.text


# --- FizzNodes: values -----------------------------------------------------------------------------------------------


def test_lists_of_numbers(run: Run) -> None:
    floats, whole = run("BatchValueSchedule", text="0:(-0.5), 4:(1.9)", max_frames=6)
    assert floats == pytest.approx([-0.5, 0.1, 0.7, 1.3, 1.9, 1.9]) and whole == [0, 0, 0, 1, 1, 1]
    *same, latent = run("BatchValueScheduleLatentInput", text="0:(-0.5), 4:(1.9)", num_latents={"samples": torch.zeros(6, 4, 8, 8)})
    assert same == [floats, whole] and latent["samples"].shape[0] == 6


def test_nothing_moves_towards_keyframes_after_the_last_frame(run: Run) -> None:
    """The number of the last keyframe inside holds, to the last digit."""
    floats, whole = run("BatchValueSchedule", text="0:(0.1), 4:(10/3), 12:(20)", max_frames=8)
    assert floats[4:] == [10 / 3] * 4 and floats[0] == 0.1 and whole[4:] == [3] * 4
    assert sent("BatchValueSchedule", text="0:(0.1), 4:(1)", max_frames=8)["values"] == "0:(0.1), 4:(1)"


def test_the_number_of_a_frame(run: Run) -> None:
    assert run("ValueSchedule", text="0:(0), 7:(-3.5)", max_frames=8, current_frame=11) == (-1.5, -1)


# --- AnimateDiff-Evolved ---------------------------------------------------------------------------------------------


def test_numbers_have_names_in_prompts(run: Run, clip, caplog: pytest.LogCaptureFixture) -> None:
    """Any names: two of them are each other's letters here."""
    replaced = {}
    for name, floats in (("b", [1.0]), ("a", [0.5, 0.25])):
        (replaced,) = run("ADE_ValuesReplace", value_key=name, floats=floats, prev_replace=replaced)
    text = '"0": "a cat (smile:`a`)", "4": "a dog (joy:`b`)"'
    values = {name: as_strength(floats) for name, floats in replaced.items()}
    options = TravelOptions("best,", "(sharp:`a`)", blend="spherical", padding="zeros", values=values)
    (made,) = run(
        "ADE_PromptScheduling", prompts=text, prepend_text="best,", append_text="(sharp:`a`)", values_replace=replaced, tensor_interp="slerp"
    )
    assert made[0][0].shape[0] == 5 and equal(made, travel(clip, text, 5, options).positive)
    assert "mixed evenly here" not in caplog.text
    made, latent = run("ADE_PromptSchedulingLatents", prompts="0: a cat\n4: a dog", latent=LATENT)
    assert latent is LATENT and equal(made, travel(clip, "0: a cat\n4: a dog", 8, TravelOptions(padding="zeros")).positive)
    assert "mixed evenly here" in caplog.text
    with pytest.raises(ValueError, match="needs at most 8 names of values; got 9"):
        run("ADE_PromptScheduling", prompts=text, values_replace=dict.fromkeys("abcdefghi", 1.0))


@pytest.mark.parametrize(("text", "frames"), [('"0": 1, "7": 2', 8), ("0:7 = 1", 7), ("7:3 = 1", 7), ("2 = 1", 3), ('"5:": 1', 6)])
def test_without_a_length_the_last_frame_is_the_last_that_is_named(run: Run, text: str, frames: int) -> None:
    assert len(run("ADE_ValueScheduling", values=text)[1]) == frames
    assert len(run("ADE_ValueScheduling", values=text, max_length=20)[3]) == 20


def test_relative_positions_need_a_length(run: Run) -> None:
    for values in ('"0": 1, "-1": 2', "0 = 1, 0.5 = 2"):
        with pytest.raises(ValueError, match="need a max_length"):
            run("ADE_ValueScheduling", values=values)
    assert run("ADE_ValueScheduling", values='"0": 0, "-1": 3', max_length=4)[0] == [0.0, 1.0, 2.0, 3.0]


def test_whole_numbers_are_rounded(run: Run) -> None:
    floats, same, whole, also = run("ADE_ValueSchedulingLatents", values='"0": 0.5, "2": 1.5', latent={"samples": torch.zeros(3, 4, 8, 8)})
    assert floats == same == [0.5, 1.0, 1.5] and whole == also == [0, 1, 2]


def test_the_prompt_of_one_frame(run: Run, clip) -> None:
    given = travel(clip, "0: a cat\n7: a dog", 8).positive
    assert equal(run("ADE_ConditionExtraction", conditioning=given, index=3)[0], frame_of(given, 3))
    given[0][1]["strength"] = torch.tensor(1.0)
    assert frame_of(given, 3)[0][1]["strength"] == 1.0 and frame_of(given, 3)[0][0].shape[0] == 1


def test_a_list_is_a_multival_too() -> None:
    """FizzNodes hands lists to fields for a number."""
    inputs = sent("ADE_MultivalDynamic", float_val=[1.0, 0.5], mask_optional=["7", 0])
    assert (inputs["values"], inputs["times"], inputs["mask"]) == ("1", [1.0, 0.5], ["7", 0])


# --- on paper --------------------------------------------------------------------------------------------------------


def test_lengths_that_are_not_known_before_a_run(run: Run) -> None:
    inputs = {"clip": CLIP, "text": TEXT, "max_frames": ["4", 0]}
    assert sent("BatchPromptSchedule", **inputs)["num_frames"] == ["4", 0]
    prompt = {
        "1": {"class_type": "BatchPromptSchedule", "inputs": {**inputs, "start_frame": 2, "end_frame": 6}},
        "2": {"class_type": "PromptSchedule", "inputs": {**inputs, "max_frames": 8, "current_frame": ["4", 0]}},
    }
    new, report = converted_prompt(prompt, lambda *_: None)
    assert new == prompt and len(report.left) == 2 and "known before a run" in str(report)
    latents = {"num_latents": ["5", 0], "text": "0: a cat", "clip": CLIP}
    for cut in ({}, {"end_frame": 0}):
        assert sent("BatchPromptScheduleLatentInput", **latents, **cut)["latent"] == ["5", 0]
    known = sent("BatchPromptScheduleLatentInput", **latents, start_frame=2, end_frame=6)
    assert (known["start_frame"], known["num_frames"], known["timeline_frames"], "latent" in known) == (2, 4, 0, False)
    cuts = ({"start_frame": 2, "end_frame": 0}, {"end_frame": 6, "text": "0: a cat (x:`t / max_f`)"}, {"start_frame": 2, "app_text": ["9", 0]})
    for cut in cuts:
        with pytest.raises(ValueError, match="not known before a run"):
            sent("BatchPromptScheduleLatentInput", **{**latents, **cut})
    assert sent("BatchValueScheduleLatentInput", num_latents=["5", 0], text="0: 1")["latent"] == ["5", 0]


def test_texts_from_other_nodes_have_no_field() -> None:
    """A front end draws a field for every STRING otherwise, and takes the value of the next one for it."""
    schema = node_of(known_rows()["PromptScheduleNodeFlowEnd"]).INPUT_TYPES()
    inputs = {**schema.get("required", {}), **schema["optional"]}
    assert inputs["text"][1]["forceInput"] and "forceInput" not in inputs["pre_text"][1]
