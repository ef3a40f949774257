"""Graphs of this pack for the small world: captions in place of the texts, its sizes, and the graphs that the demo compares.

A prompt here is what the server executes: node ids and their types and inputs. `demo.animate` and whoever makes pictures of the graphs
call this. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

Prompt = dict[str, dict[str, Any]]

CAPTION = "a big red ball rolls to the right over a green hill"
RESTING = "a big blue box rests over a green hill"
"""What the camera moves are shown on."""
EXAMPLE = "a big red ball rolls to the right over a green hill"
"""What the example picture and video show."""
VIEW = 64
"""Side of the pictures that the world was trained on, in pixels."""
LARGE = 512
"""Side of the pictures in the graphs."""
SETTINGS: dict[str, Any] = {"steps": 20, "cfg": 2.5, "sampler_name": "ddim", "scheduler": "ddim_uniform", "seed": 9}
"""What suits the world, for each sampler; those that denoise in part keep their share. With this seed the camera of `RESTING` stands still
until a motion LoRA moves it; half of the clips have moving cameras, and with other seeds it may drift."""

CAPTIONS = {
    "any_sampler": "a big yellow ball rolls to the left over a brown desert",
    "domain_adapter": "a big purple box bounces over a grey road",
    "first_last_frame": EXAMPLE,
    "frame_noise": "a big blue ball bounces over a brown desert",
    "freeinit": "a big yellow ball rolls to the right over a grey road",
    "image_to_video": EXAMPLE,
    "long_clip": "a small purple ball bounces over a green hill",
    "loop": "a big yellow ball bounces over a brown desert",
    "masked_motion": "a big purple ball bounces over a green hill",
    "motion_lora": RESTING,
    "prompt_travel": "0: a red ball bounces over a green hill\n12: a blue ball bounces over a green hill\n"
    "24: a purple ball bounces over a green hill\n36: a yellow ball bounces over a green hill",
    "sparsectrl_first_last": EXAMPLE,
    "sparsectrl_image_to_video": EXAMPLE,
    "sparsectrl_storyboard": EXAMPLE,
    "text_to_video": CAPTION,
    "upscale": "a big red ball bounces over a grey road",
    "value_curves": "a big yellow triangle rests over a green hill",
    "video_to_video": "a big blue ball rolls to the right over a brown desert",
}
"""What each graph of `workflows/` shows in the small world. Graphs with a random network in them are not here: they show nothing."""
INSTEAD = {
    "mm_sd_v15_v2.ckpt": "v3_sd15_mm.ckpt",  # random; the trained motion LoRAs are for the other
    "0: 9\n50%: 7\n1.0: 4": "0: 5\n50%: 4\n1.0: 2",  # CFG
}
"""Values of inputs, and what is there in the world."""
PIXELS = {"width", "height", "left", "top", "right", "bottom"}


def world_prompt(name: str, prompt: Mapping[str, Any]) -> Prompt:
    """A prompt that shows something in the small world, made of that of a graph.

    Args:
        name: of the graph in `workflows/`, without its ending.
        prompt: with the tiny models' names in it; it is not changed.

    Raises:
        ValueError: the graph has no caption, because a network in it is random.
    """
    if name not in CAPTIONS:
        raise ValueError(f"{name} shows nothing in the small world: a network in it is random. These do: {', '.join(CAPTIONS)}.")
    made = deepcopy(dict(prompt))
    for key, node in made.items():
        inputs = node["inputs"]
        for field, value in inputs.items():
            if isinstance(value, str):
                inputs[field] = INSTEAD.get(value, value)
            elif field in PIXELS and isinstance(value, int):
                inputs[field] = value * VIEW // LARGE
            elif field in SETTINGS and not isinstance(value, list):
                inputs[field] = SETTINGS[field]
        if node["class_type"] == "CLIPTextEncode":
            inputs["text"] = "" if _is_negative(made, key) else CAPTIONS[name]
        elif node["class_type"] == "AnimateDiffPromptTravel":
            inputs.update(prompts=CAPTIONS[name], prepend="", append="")
    return made


def captioned(prompt: Prompt, caption: str) -> Prompt:
    """The same prompt with another positive text."""
    made = deepcopy(prompt)
    for key, node in made.items():
        if node["class_type"] == "CLIPTextEncode" and not _is_negative(made, key):
            node["inputs"]["text"] = caption
    return made


def without_module(prompt: Prompt) -> Prompt:
    """The same prompt with the host's sampler, which makes as many pictures of their own."""
    made = deepcopy(prompt)
    for node in made.values():
        if node["class_type"] == "AnimateDiffNativeSampler":
            node["class_type"] = "KSampler"
            for name in ("motion_module", "context_options"):
                node["inputs"].pop(name, None)
    return _needed(made)


def with_motion_lora(prompt: Prompt, file: str, strength: float) -> Prompt:
    """The same prompt with a motion LoRA on its motion module."""
    made = deepcopy(prompt)
    loader = next(key for key, node in made.items() if node["class_type"] == "LoadMotionModule")
    for node in made.values():
        node["inputs"] = {name: ["lora", 0] if value == [loader, 0] else value for name, value in node["inputs"].items()}
    inputs = {"motion_module": [loader, 0], "motion_lora": file, "strength": strength}
    return {**made, "lora": {"class_type": "ApplyMotionLoRA", "inputs": inputs}}


def enlarged(prompt: Prompt, times: int) -> Prompt:
    """The same prompt whose pictures are saved `times` as wide and as high."""
    made = deepcopy(prompt)
    for key, node in prompt.items():
        if node["class_type"] == "VAEDecode":
            for other in made.values():
                other["inputs"] = {name: ["large", 0] if value == [key, 0] else value for name, value in other["inputs"].items()}
            inputs = {"image": [key, 0], "upscale_method": "lanczos", "scale_by": float(times)}
            made["large"] = {"class_type": "ImageScaleBy", "inputs": inputs}
    return made


def saved_as(prompt: Prompt, name: str, video: bool = True) -> Prompt:
    """The same prompt that saves its animation under this name, without losses as a WEBP and, if `video`, as a video too."""
    made = deepcopy(prompt)
    for key, node in prompt.items():
        if node["class_type"] == "SaveAnimatedWEBP":
            made[key]["inputs"].update(filename_prefix=name, lossless=True)
        elif node["class_type"] == "SaveVideo":
            made[key]["inputs"]["filename_prefix"] = name
            if not video:
                del made[key]
    return _needed(made)


def _is_negative(prompt: Mapping[str, Any], key: str) -> bool:
    """Whether a text is what is not to be seen."""
    return any(node["inputs"].get("negative") == [key, 0] for node in prompt.values())


def _needed(prompt: Prompt) -> Prompt:
    """The prompt without nodes that nothing takes and that save nothing."""
    while True:
        taken = {value[0] for node in prompt.values() for value in node["inputs"].values() if isinstance(value, list)}
        kept = {key: node for key, node in prompt.items() if key in taken or node["class_type"].startswith("Save")}
        if len(kept) == len(prompt):
            return prompt
        prompt = kept
