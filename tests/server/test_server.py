"""The pack in a real server process: clips, caching, errors, what the front end is told."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy
import pytest
from animatediff_native.demo.animate import TINY_MODELS
from animatediff_native.demo.client import ComfyClient, PromptError, workflow_to_prompt
from animatediff_native.demo.world.trained import is_trained
from PIL import Image, ImageSequence

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"
NODES = {
    "LoadMotionModule",
    "ApplyMotionLoRA",
    "ApplyDomainAdapter",
    "MotionSettings",
    "AdjustMotionPositions",
    "AdjustMotionWeights",
    "ApplyMotionModule",
    "ApplyBetaSchedule",
    "RemoveMotionModule",
    "ContextWindowOptions",
    "ApplyContextWindows",
    "PreviewContextWindows",
    "AnimateDiffPromptTravel",
    "PromptOfFrame",
    "SetLatentFrames",
    "ValueCurve",
    "ApplyCFGCurve",
    "ApplyControlCurve",
    "SetControlCurve",
    "ApplyFrameNoise",
    "RandomFrameNoise",
    "ApplyFreeInit",
    "PinFrames",
    "LoadSparseCtrl",
    "SparseCtrlApply",
    "SparseCtrlFrames",
    "SparseCtrlImages",
    "AnimateDiffNativeSampler",
    "SaveAnimation",
    "LoadTrainingClips",
    "CameraClips",
    "EncodeTrainingClips",
    "TrainMotionLoRA",
    "TrainDomainAdapter",
    "TrainMotionModule",
    "MotionTrainingOptions",
    "MotionTrainingPreview",
    "SaveTrainedLoRA",
    "SaveMotionModule",
    "MeasureMotion",
    "EvaluateAnimation",
}
CATEGORIES = {"AnimateDiff", "AnimateDiff/training", "AnimateDiff/evaluation"}
TEXT_EVENT = 3
"""The host's number for binary messages with a text for a node to show."""
ENDS = ("execution_success", "execution_error", "execution_interrupted")
FAST = {"width": 64, "height": 64, "steps": 2}
FRAMES = {
    "long_clip": 40, "long_animatediff": 32, "hotshot_xl": 8, "loop": 24, "video_to_video": 24, "controlnet": 24,
    "sparsectrl_storyboard": 32, "sparsectrl_controlnet": 24, "prompt_travel": 48,
}  # fmt: skip
"""Frames a workflow makes, where they are not 16."""
TRAINING = {"train_motion_lora"}
"""Workflows that make a file instead of a clip; `test_training.py` runs them."""


def graph(client: ComfyClient, name: str, **changes: Any) -> dict[str, Any]:
    """A workflow as a small prompt. ``changes`` set inputs by name, wherever a node has one."""
    workflow = json.loads((WORKFLOWS / f"{name}.json").read_text(encoding="utf-8"))
    prompt = workflow_to_prompt(workflow, client.object_info(), TINY_MODELS)
    for node in prompt.values():
        values = {**FAST, **changes}
        node["inputs"].update({key: value for key, value in values.items() if key in node["inputs"]})
    return prompt


def saved(outputs: dict[str, Any], suffix: str) -> list[dict[str, str]]:
    """Files of one kind among a prompt's outputs."""
    entries = [entry for node in outputs.values() for value in node.values() for entry in value]
    return [entry for entry in entries if isinstance(entry, dict) and entry.get("filename", "").endswith(suffix)]


def frames_of(client: ComfyClient, outputs: dict[str, Any]) -> list[bytes]:
    """Pixels of each frame of the animated WEBP a graph saved."""
    picture = Image.open(io.BytesIO(client.view(saved(outputs, ".webp")[0])))
    return [frame.convert("RGB").tobytes() for frame in ImageSequence.Iterator(picture)]


@pytest.mark.parametrize("name", sorted({path.stem for path in WORKFLOWS.glob("*.json")} - TRAINING))
def test_every_workflow_makes_a_clip(client: ComfyClient, name: str) -> None:
    outputs = client.run(graph(client, name))
    frames = frames_of(client, outputs)
    assert len(frames) == FRAMES.get(name, 16)
    if name == "first_last_frame":  # both are the example picture, but for what a lossy animation keeps of the frame before
        last, first = (numpy.frombuffer(frame, numpy.uint8).astype(float) for frame in (frames.pop(), frames[0]))
        assert abs(first - last).mean() < 4
    assert len(set(frames)) == len(frames), "frames repeat"


def text_on(client: ComfyClient, prompt: dict[str, Any], node: str) -> str:
    """What a node shows on itself after a run."""
    outputs = client.run(prompt)
    key = next(key for key, entry in prompt.items() if entry["class_type"] == node)
    return "\n".join(outputs[key]["text"])


def test_nodes_show_what_they_found(client: ComfyClient) -> None:
    shown = text_on(client, graph(client, "v1_module"), "LoadMotionModule")
    assert shown.splitlines() == [
        "AnimateDiff v1 (v14, v15, TemporalDiff, Stabilized), for SD1.5",
        "up to 24 frames at once, trained on 16",
        "20 temporal blocks, 2 M weights, fp16",
        "recommended: ddim, ddim_uniform, 25 steps, CFG 7.5",
        "norms see all frames of a window (those of the image model); betas: linear 0.00085 to 0.012",
    ]
    assert "recommended: euler, sgm_uniform, 4 steps, CFG 1" in text_on(client, graph(client, "lightning"), "LoadMotionModule")
    shown = text_on(client, graph(client, "domain_adapter"), "ApplyDomainAdapter")
    assert shown == "v3_sd15_adapter.ckpt at 1: 128 of 128 keys matched"
    # A trained one has those of the v3 layout, a random one those of the module's middle block as well.
    keys = 160 if is_trained("animatediff_motion_lora/v2_lora_PanLeft.ckpt") else 168
    assert text_on(client, graph(client, "motion_lora"), "ApplyMotionLoRA").endswith(f"{keys} of {keys} keys matched")


def test_an_animation_is_measured_where_it_is_made(client: ComfyClient) -> None:
    """The tiny models are random: their frames have nothing in common, and the node says so."""
    prompt = graph(client, "text_to_video")
    frames = next(key for key, node in prompt.items() if node["class_type"] == "VAEDecode")
    prompt["measure"] = {"class_type": "MeasureMotion", "inputs": {"images": [frames, 0]}}
    outputs = client.run(prompt)["measure"]
    (shown,) = outputs["text"]
    assert [line.split()[0] for line in shown.splitlines()] == ["shift", "shift", "zoom", "roll", "a", "neighbouring", "loop:", "flicker"]
    assert len(outputs["images"]) == 1


@pytest.mark.parametrize("workflow", ["v1_module", "lightning", "animatelcm", "sdxl", "hotshot_xl", "domain_adapter"])
def test_workflows_have_the_recommended_settings(client: ComfyClient, workflow: str) -> None:
    graph_file = json.loads((WORKFLOWS / f"{workflow}.json").read_text(encoding="utf-8"))
    values = next(node["widgets_values"] for node in graph_file["nodes"] if node["type"] == "AnimateDiffNativeSampler")
    steps, cfg, sampler, scheduler = values[2:6]
    shown = text_on(client, graph(client, workflow), "LoadMotionModule")
    assert f"recommended: {sampler}, {scheduler}, {steps} steps, CFG {cfg:g}" in shown


def texts_sent(client: ComfyClient, prompt: dict[str, Any]) -> list[tuple[str, str]]:
    """(node, text) of what the server sends for nodes to show while a prompt runs, which is queued as a browser does."""
    found = []
    with client._socket() as socket:
        prompt_id = client.queue(prompt)
        while True:
            message = socket.read(timeout=60)
            assert message is not None, "the prompt has not ended"
            if isinstance(message, bytes) and struct.unpack(">I", message[:4])[0] == TEXT_EVENT:
                (length,) = struct.unpack(">I", message[4:8])
                found.append((message[8 : 8 + length].decode(), message[8 + length :].decode()))
            elif isinstance(message, str) and message:
                told = json.loads(message)
                if told["type"] in ENDS and told["data"].get("prompt_id") == prompt_id:
                    assert told["type"] == "execution_success"
                    return found


def test_warnings_stand_on_the_node_that_samples(client: ComfyClient) -> None:
    """All of a run in one text, once, on the host's own sampler; a run that needs none sends none."""
    prompt = graph(client, "any_sampler", batch_size=8, seed=31)
    sampler = next(key for key, node in prompt.items() if "KSampler" in node["class_type"] or "Sampler" in node["class_type"])
    ((node, text),) = texts_sent(client, prompt)
    assert node == sampler
    assert "was trained on clips of 16 frames, this animation has 8" in text
    assert texts_sent(client, graph(client, "any_sampler", seed=32)) == []


def test_errors_of_texts_have_no_folder_in_their_name(client: ComfyClient) -> None:
    prompt = graph(client, "prompt_travel", prompts="0: a cat\n8-12: a dog")
    with pytest.raises(PromptError, match=r"failed: AnimateDiff\.TimelineError: Line 2, column 1: .* Write 8\.\.12: a dog for a keyframe"):
        client.run(prompt)


def test_overrides_that_do_not_fit_say_so(client: ComfyClient) -> None:
    with pytest.raises(PromptError, match=r"v3_sd15_mm\.ckpt is a motion module for SD1\.5, the family sdxl is for SDXL"):
        client.run(graph(client, "text_to_video", family="sdxl"))
    with pytest.raises(PromptError, match=r"mm_sdxl_v10_beta\.ckpt is a motion module for SDXL, this MODEL is"):
        prompt = graph(client, "text_to_video")
        next(n for n in prompt.values() if n["class_type"] == "LoadMotionModule")["inputs"]["motion_module"] = "mm_sdxl_v10_beta.ckpt"
        client.run(prompt)


def test_any_lora_of_the_image_model_can_be_the_adapter(client: ComfyClient) -> None:
    prompt = graph(client, "domain_adapter")
    node = next(node for node in prompt.values() if node["class_type"] == "ApplyDomainAdapter")
    node["inputs"]["adapter"] = "AnimateLCM_sd15_t2v_lora.safetensors"
    assert text_on(client, prompt, "ApplyDomainAdapter").endswith("276 of 276 keys matched")


def test_the_clip_differs_from_the_same_seed_without_motion(client: ComfyClient) -> None:
    moving = frames_of(client, client.run(graph(client, "any_sampler", seed=11)))
    prompt = graph(client, "any_sampler", seed=11)
    apply = next(key for key, node in prompt.items() if node["class_type"] == "ApplyMotionModule")
    model = prompt[apply]["inputs"]["model"]
    for node in prompt.values():
        node["inputs"] = {key: model if value == [apply, 0] else value for key, value in node["inputs"].items()}
    still = frames_of(client, client.run(prompt))
    assert len(still) == len(moving) == 16
    assert all(a != b for a, b in zip(still, moving, strict=True))


def test_the_same_graph_twice_is_cached(client: ComfyClient) -> None:
    prompt = graph(client, "text_to_video", seed=21)
    client.run(prompt)
    second = client.queue(prompt)
    client.wait(second)
    messages = dict(client.history(second)["status"]["messages"])
    sampler = next(key for key, node in prompt.items() if node["class_type"] == "AnimateDiffNativeSampler")
    assert sampler in messages["execution_cached"]["nodes"]


def test_an_error_leaves_the_queue_usable(client: ComfyClient) -> None:
    wanted = frames_of(client, client.run(graph(client, "text_to_video", seed=31)))
    with pytest.raises(PromptError, match=r"handles at most 32 frames at once; this latent has 48"):
        client.run(graph(client, "text_to_video", seed=31, batch_size=48))
    with pytest.raises(PromptError, match=r"got overlap 16 and length 16"):
        client.run(graph(client, "long_clip", context_overlap=16))
    again = graph(client, "text_to_video", seed=31)
    saver = next(node for node in again.values() if node["class_type"] == "SaveAnimatedWEBP")
    saver["inputs"]["filename_prefix"] = "again"
    assert frames_of(client, client.run(again)) == wanted


def test_a_text_that_cannot_be_read_is_named_with_its_place(client: ComfyClient) -> None:
    with pytest.raises(PromptError, match=r"Line 2, column 4: 'slowly' is no word of a keyframe"):
        client.run(graph(client, "prompt_travel", prompts="0: a cat\n12 slowly: a dog"))
    with pytest.raises(PromptError, match=r"Line 1, column 9: needs a number"):
        client.run(graph(client, "masked_motion", values="0: 1, 8:"))
    with pytest.raises(PromptError, match=r"Line 2, column 1: hooks 2 is not connected"):
        client.run(graph(client, "prompt_travel_loras", prompts="0: a cat\n8 hooks 2: a dog"))


def test_prompt_travel_shows_which_prompt_holds_which_frames(client: ComfyClient) -> None:
    assert text_on(client, graph(client, "prompt_travel_sdxl"), "AnimateDiffPromptTravel").splitlines() == [
        "16 frames, 3 prompts",
        "0: a lighthouse at noon, clear sky",
        "1-7: a lighthouse at noon, clear sky > a lighthouse at dusk, red clouds",
        "8: a lighthouse at dusk, red clouds",
        "9-14: a lighthouse at dusk, red clouds > a lighthouse at night, stars",
        "15: a lighthouse at night, stars",
    ]


def test_numbers_go_to_and_come_from_other_nodes(client: ComfyClient) -> None:
    """A list out of Value Curve drives the host's hook keyframes; a list into a strength is a value per frame."""
    prompt = graph(client, "prompt_travel_loras")
    travel = next(node for node in prompt.values() if node["class_type"] == "AnimateDiffPromptTravel")
    hooks, clip = travel["inputs"]["hooks.hooks_1"], travel["inputs"]["clip"]
    values = {"over": "frames", "easing": "linear", "loop": False, "num_frames": 16}
    prompt["100"] = {"class_type": "ValueCurve", "inputs": {"values": "0: 0, -1: 1", **values}}
    numbers = {"floats_strength": ["100", 1], "start_percent": 0.0, "end_percent": 1.0, "print_keyframes": False}
    prompt["101"] = {"class_type": "CreateHookKeyframesFromFloats", "inputs": numbers}
    prompt["102"] = {"class_type": "SetHookKeyframes", "inputs": {"hooks": hooks, "hook_kf": ["101", 0]}}
    travel["inputs"] |= {"hooks.hooks_1": ["102", 0], "clip": clip}
    sampler = next(node for node in prompt.values() if node["class_type"] == "AnimateDiffNativeSampler")
    prompt["103"] = {"class_type": "ApplyCFGCurve", "inputs": {"model": sampler["inputs"]["model"], "cfg": ["100", 1]}}
    sampler["inputs"] |= {"model": ["103", 0], "cfg": 3}
    assert len(set(frames_of(client, client.run(prompt)))) == 16


def test_numbers_and_negative_parts_of_prompts(client: ComfyClient) -> None:
    """A curve and a number plug into the sockets of Prompt Travel, and its second output into a sampler."""
    prompt = graph(client, "prompt_travel_sdxl", prompts="0: a (cat:`a`) --neg dark\n-1: a (dog:`b * t`)")
    key, travel = next((key, node) for key, node in prompt.items() if node["class_type"] == "AnimateDiffPromptTravel")
    values = {"values": "0.5 + t / 4", "over": "frames", "easing": "linear", "loop": False, "num_frames": 16}
    prompt["100"] = {"class_type": "ValueCurve", "inputs": values}
    prompt["101"] = {"class_type": "PrimitiveFloat", "inputs": {"value": 0.1}}
    travel["inputs"] |= {"values.a": ["100", 0], "values.b": ["101", 0], "timeline_frames": 20}
    next(node for node in prompt.values() if "negative" in node["inputs"])["inputs"]["negative"] = [key, 1]
    outputs = client.run(prompt)
    assert outputs[key]["text"][0].splitlines()[0] == "16 frames from 0 of 20, 31 prompts"
    assert len(set(frames_of(client, outputs))) == 16
    with pytest.raises(PromptError, match=r"Line 1, column 10: 'h' is not known here\. Known are a, b, max_f, pi, t"):
        client.run(prompt | {key: {**travel, "inputs": travel["inputs"] | {"prompts": "0: (cat:`h`)"}}})


def test_animations_are_saved_and_shown_in_every_format(client: ComfyClient) -> None:
    prompt = graph(client, "text_to_video", seed=51)
    key, saver = next((key, node) for key, node in prompt.items() if node["class_type"] == "SaveAnimatedWEBP")
    inputs = {"images": saver["inputs"]["images"], "frame_rate": 12.5, "ping_pong": True, "loop_count": 0, "quality": 80}
    inputs |= {"lossless": False, "dither": "ordered", "save_output": True}
    del prompt[key]
    for format in ("webp", "gif", "mp4"):
        named = {"format": format, "filename_prefix": f"saved/%width%/{format}"}
        prompt[format] = {"class_type": "SaveAnimation", "inputs": {**inputs, **named}}
    outputs = client.run(prompt)
    files = {}
    for format in ("webp", "gif", "mp4"):
        assert outputs[format]["images"] == [{"filename": f"{format}_00001_.{format}", "subfolder": "saved/64", "type": "output"}]
        files[format] = client.view(outputs[format]["images"][0])
    webp, gif = (Image.open(io.BytesIO(files[format])) for format in ("webp", "gif"))
    assert [(picture.n_frames, picture.size) for picture in (webp, gif)] == [(30, (64, 64))] * 2
    remembered = json.loads(webp.getexif()[0x0110].removeprefix("prompt:"))
    assert {key: node["inputs"] for key, node in remembered.items()} == {key: node["inputs"] for key, node in prompt.items()}
    assert json.loads(gif.info["comment"])["prompt"] == remembered
    assert files["mp4"][4:8] == b"ftyp" and json.dumps(remembered).encode() in files["mp4"]


def test_a_missing_file_is_refused_before_anything_runs(client: ComfyClient) -> None:
    prompt = graph(client, "text_to_video")
    loader = next(node for node in prompt.values() if node["class_type"] == "LoadMotionModule")
    loader["inputs"]["motion_module"] = "nowhere.ckpt"
    with pytest.raises(PromptError, match=r"LoadMotionModule .*nowhere\.ckpt"):
        client.queue(prompt)


def test_object_info_lists_every_node_with_tooltips(client: ComfyClient) -> None:
    info = client.object_info()
    ours = {key: node for key, node in info.items() if node["category"] in CATEGORIES}
    assert set(ours) == NODES
    for name, node in ours.items():
        inputs = {**node["input"].get("required", {}), **node["input"].get("optional", {})}
        assert inputs and node["description"]
        for key, spec in inputs.items():
            assert len(spec) > 1 and spec[1].get("tooltip"), f"{name}.{key} has no tooltip"
        assert all(node["output_tooltips"]), f"an output of {name} has no tooltip"
        shown = [key for key, spec in inputs.items() if not spec[1].get("advanced") and spec[0] not in ("MODEL",)]
        assert len(shown) <= 12


def test_workflows_are_in_the_template_list(client: ComfyClient) -> None:
    templates = client.get_json("/workflow_templates")
    listed = next(names for pack, names in templates.items() if "animatediff-native" in pack)
    assert set(listed) == {path.stem for path in WORKFLOWS.glob("*.json")}


def test_every_node_has_a_help_page() -> None:
    pages = {path.stem for path in (WORKFLOWS.parent / "web" / "docs").glob("*.md")}
    assert pages == NODES


@pytest.mark.parametrize("name", sorted(NODES))
def test_help_page_is_served_where_the_front_end_asks_for_it(client: ComfyClient, name: str) -> None:
    module = client.object_info()[name]["python_module"].removeprefix("custom_nodes.")
    page = client.get(f"/extensions/{module}/docs/{name}.md").decode()
    assert page == (WORKFLOWS.parent / "web" / "docs" / f"{name}.md").read_text(encoding="utf-8")


def test_start_up_names_the_pack(client: ComfyClient, server_log: Path) -> None:
    """ComfyUI prints how long each pack took to import; `host/test_start.py` measures it exactly."""
    lines = [line for line in server_log.read_text(encoding="utf-8").splitlines() if "animatediff-native" in line]
    times = [float(line.split("seconds")[0].split("]")[-1].split()[-1]) for line in lines if " seconds" in line]
    assert times and max(times) < 1.0
