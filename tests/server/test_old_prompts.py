"""API prompts for other packs as scripts really send them: incomplete, with names of other versions, wrong, and more than once."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from animatediff_native.demo.client import ComfyClient, PromptError
from animatediff_tests.old_graphs import SCENES, V1, V2, Prompt
from animatediff_tests.server.test_server import ENDS, frames_of, texts_sent

SIMPLE, EVOLVED, TWICE = "loader of 2023 with two values", "second generation", "two modules over the steps"


def prompt_of(scene: str, changes: dict[str, dict[str, Any]] | None = None, without: tuple[str, ...] = ()) -> Prompt:
    """A scene; ``changes`` are inputs by node, those of ``without`` are left out wherever they are."""
    prompt = deepcopy(SCENES[scene])
    if scene == EVOLVED:  # without FreeInit, which would sample twice
        without = (*without, "sample_settings")
        del prompt["14"], prompt["16"]
    for node in prompt.values():
        node["inputs"] = {name: value for name, value in node["inputs"].items() if name not in without}
    for key, inputs in (changes or {}).items():
        prompt[key]["inputs"] |= inputs
    return prompt


def animation(client: ComfyClient, prompt: Prompt) -> list[bytes]:
    """The frames that a prompt saves."""
    return frames_of(client, client.run(prompt))


def failure(client: ComfyClient, prompt: Prompt) -> dict[str, Any]:
    """What the server says of the error that a prompt ends with."""
    prompt_id = client.queue(prompt)
    with pytest.raises(PromptError):
        client.wait(prompt_id)
    return dict(client.history(prompt_id)["status"]["messages"])["execution_error"]


def cached(client: ComfyClient, prompt: Prompt) -> set[str]:
    """The nodes that do not run again."""
    prompt_id = client.queue(prompt)
    client.wait(prompt_id)
    return set(dict(client.history(prompt_id)["status"]["messages"])["execution_cached"]["nodes"])


def messages(client: ComfyClient, prompt: Prompt) -> Iterator[dict[str, Any]]:
    """What the server tells while a prompt runs, until its end."""
    with client._socket() as socket:
        prompt_id = client.queue(prompt)
        while True:
            text = socket.read_text(timeout=60)
            assert text is not None, "the prompt has not ended"
            told = json.loads(text) if text else {"type": "", "data": {}}
            yield told
            if told["type"] in ENDS and told["data"].get("prompt_id") == prompt_id:
                return


# --- what is missing, and what nobody knows ----------------------------------------------------------------------------------------


def test_optional_inputs_may_be_absent(client: ComfyClient) -> None:
    """The noise schedule too, which is then the first of the old list."""
    absent = ("motion_scale", "apply_v2_models_properly", "beta_schedule")
    wanted = animation(client, prompt_of(SIMPLE, {"10": {"apply_v2_models_properly": False, "beta_schedule": "autoselect"}}))
    assert animation(client, prompt_of(SIMPLE, without=absent)) == wanted
    assert len(set(wanted)) == 8
    context = ("closed_loop", "context_stride", "fuse_method", "use_on_equal_length", "start_percent", "guarantee_steps")
    usual = {"closed_loop": False, "context_stride": 1, "fuse_method": "flat"}
    given = prompt_of(EVOLVED, {"13": usual})
    assert animation(client, prompt_of(EVOLVED, without=context)) == animation(client, given)


def test_older_names_of_inputs_are_understood(client: ComfyClient) -> None:
    prompt = prompt_of(EVOLVED, {"17": {"lora_name": "v2_lora_ZoomIn.ckpt"}}, without=("name",))
    assert animation(client, prompt) == animation(client, prompt_of(EVOLVED))


@pytest.mark.parametrize("written", ["\U0001f52cpyramid", "Pyramid", 0])
def test_choices_may_be_written_otherwise(client: ComfyClient, written: Any) -> None:
    """With an emoji, with a capital, as a number in their list."""
    assert animation(client, prompt_of(EVOLVED, {"13": {"fuse_method": written}})) == animation(client, prompt_of(EVOLVED))


def test_inputs_that_nobody_knows_are_named_and_have_no_effect(client: ComfyClient) -> None:
    prompt = prompt_of(SIMPLE, {"10": {"brand_new": 3, "also_new": ["4", 0], "autosize": "", "seed": None}})
    told = "AnimateDiff Loader [Legacy]: also_new, brand_new is not known here and has no effect."
    assert [text for node, text in texts_sent(client, prompt) if node == "10"] == [told]
    assert animation(client, prompt) == animation(client, prompt_of(SIMPLE))


@pytest.mark.parametrize("nothing", [None, "None", ""])
def test_a_motion_lora_that_was_not_chosen_is_none(client: ComfyClient, nothing: Any) -> None:
    prompt = prompt_of(EVOLVED, without=("motion_lora",))
    assert animation(client, prompt_of(EVOLVED, {"17": {"name": nothing}})) == animation(client, prompt)


def test_a_node_that_is_given_a_model_passes_one_on(client: ComfyClient) -> None:
    """Apply AnimateDiff Model as scripts write it, without Use Evolved Sampling."""
    prompt = prompt_of(EVOLVED)
    prompt["11"]["inputs"] = {"motion_model": ["12", 0]}
    short = deepcopy(prompt)
    del short["11"]
    for kind in ("ADE_ApplyAnimateDiffModel", "ADE_ApplyAnimateDiffModelSimple"):
        short["10"] = {"class_type": kind, "inputs": {"model": ["1", 0], "motion_model": ["12", 0], "context_options": ["13", 0]}}
        assert animation(client, short) == animation(client, prompt)


# --- files -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SD15/" + V2, "AnimateDiff\\" + V2, "mm_sd_v15_v2.safetensors", "MM_SD_v15_v2.CKPT"])
def test_a_file_is_found_under_another_name_and_that_is_said_once(client: ComfyClient, name: str) -> None:
    prompt = prompt_of(EVOLVED, {"12": {"model_name": name}})
    assert [(node, text) for node, text in texts_sent(client, prompt) if name in text] == [("12", f"{name} is {V2} here.")]
    assert animation(client, prompt) == animation(client, prompt_of(EVOLVED))


@pytest.mark.parametrize(
    "key, changes, place",
    [
        ("12", {"model_name": "nowhere.ckpt"}, r"models/animatediff_models, got nowhere\.ckpt"),
        ("12", {"model_name": None}, r"models/animatediff_models, got none"),
        ("11", {"motion_lora": ["17", 0]}, r"models/animatediff_motion_lora, got nowhere\.ckpt"),
    ],
)
def test_a_file_that_is_not_there_is_an_error_on_the_node(client: ComfyClient, key: str, changes: dict[str, Any], place: str) -> None:
    told = failure(client, prompt_of(EVOLVED, {key: changes, "17": {"name": "nowhere.ckpt"}}))
    assert told["node_id"] in prompt_of(EVOLVED)
    assert told["exception_message"].startswith(f"Needed a file in {place.replace(chr(92), '')}")
    assert "Download it, or choose another." in told["exception_message"]
    assert len(animation(client, prompt_of(EVOLVED))) == 8, "the queue goes on"


def test_an_error_inside_is_shown_on_the_node_that_was_drawn(client: ComfyClient) -> None:
    """The old node stands for those it expands to, whichever of them it is."""
    told = failure(client, prompt_of(SIMPLE, {"10": {"model_name": "mm_sdxl_v10_beta.ckpt"}}))
    assert told["node_id"] == "10" and "is a motion module for SDXL, this MODEL is" in told["exception_message"]
    told = failure(client, prompt_of(EVOLVED, {"12": {"model_name": "mm_sdxl_v10_beta.ckpt"}}))
    assert told["node_id"] == "10" and "v2_lora_ZoomIn.ckpt was trained for another base" in told["exception_message"]
    assert len(animation(client, prompt_of(SIMPLE))) == 8


# --- again and again ---------------------------------------------------------------------------------------------------------------


def test_the_second_run_comes_from_the_cache(client: ComfyClient) -> None:
    prompt = prompt_of(EVOLVED, {"5": {"seed": 71}})
    told = [message["data"].get("node") for message in messages(client, prompt) if message["type"] == "executing"]
    assert "5" in told
    assert "progress" not in [message["type"] for message in messages(client, prompt)], "it samples again"
    assert cached(client, prompt) >= set(prompt)


def test_a_change_runs_only_what_follows_from_it(client: ComfyClient) -> None:
    prompt = prompt_of(EVOLVED, {"5": {"seed": 72}})
    client.run(prompt)
    seeded = cached(client, prompt_of(EVOLVED, {"5": {"seed": 73}}))
    assert set(prompt) - seeded == {"5", "6", "7"}, "a seed is for the sampler"
    scaled = cached(client, prompt_of(EVOLVED, {"5": {"seed": 73}, "15": {"float_val": 1.5}}))
    assert set(prompt) - scaled == {"15", "11", "10", "5", "6", "7"}, "the module is not loaded again"
    assert cached(client, prompt_of(EVOLVED, {"5": {"seed": 73}})) >= {"12", "13", "17"}


def test_an_interrupt_stops_an_old_graph_and_the_next_one_runs(client: ComfyClient) -> None:
    wanted = animation(client, prompt_of(TWICE))
    interrupt = urllib.request.Request(f"{client.base_url}/interrupt", data=b"", method="POST")
    told: list[dict[str, Any]] = []
    for message in messages(client, prompt_of(TWICE, {"5": {"steps": 400}})):
        told.append(message)
        if message["type"] == "progress":
            urllib.request.urlopen(interrupt).close()
    assert told[-1]["type"] == "execution_interrupted" and told[-1]["data"]["node_id"] == "5"
    again = prompt_of(TWICE, {"7": {"filename_prefix": "again"}})
    assert animation(client, again) == wanted


def test_two_prompts_share_what_they_have_in_common(client: ComfyClient) -> None:
    """Another module in one node: the other module stays loaded, and the animation is another."""
    first = animation(client, prompt_of(TWICE))
    second = prompt_of(TWICE, {"12": {"model_name": V2}})
    assert {"14", "13", "16", "18"} <= cached(client, second)
    assert animation(client, second) != first
    assert V1 in str(prompt_of(TWICE))
