"""Prompt travel with the host's real text encoders: what each frame sees, what is encoded, and how LoRA hooks share a clip."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comfy.hooks
import comfy.sd
import comfy.supported_models
import pytest
import torch
from animatediff_native.demo.tiny_checkpoint import checkpoint, sdxl_checkpoint
from animatediff_native.sampling.frames import frames_of_call
from animatediff_native.sampling.host.sample import with_prompt_hooks
from animatediff_native.sampling.prompts.embeddings import interpolated, same_length
from animatediff_native.sampling.prompts.plan import TravelOptions, describe_travel, plan
from animatediff_native.sampling.prompts.travel import frame_of, travel
from animatediff_native.sampling.run.animate import animate
from animatediff_native.sampling.timeline.curve import as_strength, make_curve
from animatediff_native.sampling.timeline.keyframes import TimelineError
from animatediff_native.sampling.windows.options import WindowOptions
from animatediff_tests.tiny import run_ksampler
from torch import Tensor

EMPTY = 1
"""Prompts without a negative part: the empty one is encoded for the other output."""
PACK = Path(__file__).resolve().parents[2] / "demo" / "tiny_models_pack" / "__init__.py"
LONG = ", ".join(["a very long prompt about the sea"] * 14)
"""More than the 75 tokens that one run of the text encoder takes."""


def _load(state: dict[str, Tensor]) -> Any:
    return comfy.sd.load_state_dict_guess_config(state, output_vae=False, output_clip=True, output_model=False)[1]


@pytest.fixture(scope="module")
def clips() -> Iterator[dict[str, Any]]:
    """The CLIPs of a tiny SD1.5 and a tiny SDXL checkpoint."""
    known = list(comfy.supported_models.models)
    spec = importlib.util.spec_from_file_location("tiny_models_pack", PACK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with torch.inference_mode():
        yield {"sd15": _load(checkpoint()), "sdxl": _load(sdxl_checkpoint())}
    comfy.supported_models.models[:] = known


@pytest.fixture
def sdxl(clips):
    return clips["sdxl"]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the text encoders are given, from now on."""
    seen: list[Any] = []
    encode = comfy.sd.CLIP.encode_from_tokens_scheduled

    def count(self: Any, tokens: Any, *args: Any, **kw: Any) -> Any:
        seen.append(tokens)
        return encode(self, tokens, *args, **kw)

    monkeypatch.setattr(comfy.sd.CLIP, "encode_from_tokens_scheduled", count)
    return seen


def plain(clip: Any, prompt: str) -> tuple[Tensor, Tensor]:
    """A prompt as the host's own node encodes it: token embeddings and pooled output."""
    cond, options = clip.encode_from_tokens_scheduled(clip.tokenize(prompt))[0]
    return cond, options["pooled_output"]


# --- what frames see -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["sd15", "sdxl"])
def test_tokens_and_pooled_output_are_interpolated(clips, base: str) -> None:
    clip = clips[base]
    [(tokens, options)], *_ = travel(clip, "0: a cat\n10: a dog", 16)
    cat, dog = plain(clip, "a cat"), plain(clip, "a dog")
    assert tokens.shape[0] == options["pooled_output"].shape[0] == 16 and not torch.equal(cat[1], dog[1])
    for i, share in ((0, 0.0), (3, 0.3), (5, 0.5), (10, 1.0), (15, 1.0)):
        for got, start, end in zip((tokens, options["pooled_output"]), cat, dog, strict=True):
            assert torch.allclose(got[i : i + 1], start + (end - start) * share, atol=1e-6)
    assert torch.equal(tokens[0:1], cat[0]) and torch.equal(tokens[10:11], dog[0])
    assert torch.equal(options["pooled_output"][0:1], cat[1]) and torch.equal(options["pooled_output"][10:11], dog[1])


def test_sdxl_samples_each_frame_with_its_own_pooled_output(sdxl, sdxl_model) -> None:
    """The vector that the UNet is given in a middle frame is that of the interpolated pooled output."""
    travelled, *_ = travel(sdxl, "0: a cat\n15: a dog", 16)
    tokens, pooled = travelled[0][0], travelled[0][1]["pooled_output"]
    wide = pooled.repeat(1, 64 // pooled.shape[1] + 1)[:, :64]  # the UNet of these tests is of another width
    positive = [[tokens.repeat(1, 1, 64 // tokens.shape[2] + 1)[..., :64], {"pooled_output": wide}]]
    seen = []

    def note(apply_model: Any, args: dict[str, Any]) -> Tensor:
        seen.append((args["c"]["y"], args["c"]["c_crossattn"], args["cond_or_uncond"]))
        return args["input"]

    model = sdxl_model.clone()
    model.set_model_unet_function_wrapper(note)
    run_ksampler(model, steps=1, positive=positive)
    y, given, which = seen[0]
    first = which.index(0) * 16
    assert torch.allclose(y[first + 7, :64], torch.lerp(wide[0], wide[15], 7 / 15), atol=1e-6)
    assert not torch.allclose(wide[0], wide[15])
    assert torch.allclose(given[first + 7, :77], positive[0][0][7, :77], atol=1e-6)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("options", [None, WindowOptions(16, 4), WindowOptions(16, 4, views=True)])
def test_frame_i_gets_prompt_i(clips, model, motion, options: Any, apart: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every window, and where the host runs the prompts one by one: frame i lies at its share of the way."""
    if apart:
        monkeypatch.setattr(type(model), "get_free_memory", lambda *_: 0)
    frames = 32 if options is None else 40
    clip = clips["sd15"]
    cat, dog = plain(clip, "a cat")[0], plain(clip, "a dog")[0]
    tokens = travel(clip, f"0: a cat\n{frames - 1}: a dog", frames)[0][0][0]
    wide = 64 // tokens.shape[2] + 1  # the UNet of these tests is of another width
    place = int((dog - cat)[0].abs().argmax())
    token, channel = divmod(place, tokens.shape[2])
    seen: set[int] = set()

    def note(apply_model: Any, args: dict[str, Any]) -> Tensor:
        given, which = args["c"], args["cond_or_uncond"]
        indices = frames_of_call(given["transformer_options"], args["input"].shape[0] // len(which))[0]
        if 0 in which:
            mine = given["c_crossattn"].chunk(len(which))[which.index(0)][:, token, channel]
            along = (mine - cat[0, token, channel]) / (dog - cat)[0, token, channel]
            assert torch.allclose(along, torch.tensor(indices) / (frames - 1), atol=1e-3)
            seen.update(indices)
        return args["input"]

    animated = animate(model, motion, options)
    animated.set_model_unet_function_wrapper(note)
    run_ksampler(animated, frames=frames, steps=1, positive=[[tokens.repeat(1, 1, wide)[..., :64], {}]])
    assert seen == set(range(frames))


def test_prompts_of_other_lengths(clips) -> None:
    """77 and 154 tokens: shorter ones are repeated, which changes nothing for a frame that has one prompt alone."""
    [(tokens, _)], *_ = travel(clips["sd15"], f'0: "a cat"\n8: "{LONG}"', 9)
    cat, long = plain(clips["sd15"], "a cat")[0], plain(clips["sd15"], LONG)[0]
    assert (cat.shape[1], long.shape[1], tokens.shape[1]) == (77, 154, 154)
    assert torch.equal(tokens[0:1], cat.repeat(1, 2, 1)) and torch.equal(tokens[8:9], long)
    query = torch.randn(1, 10, cat.shape[2], generator=torch.Generator().manual_seed(0))
    once, twice = (torch.nn.functional.scaled_dot_product_attention(query, keys, keys) for keys in (cat, tokens[0:1]))
    assert torch.allclose(once, twice, atol=1e-5)
    assert {e.shape[1] for e in same_length({k: torch.zeros(1, n, 2) for k, n in enumerate((77, 154, 231))}).values()} == {462}
    assert {e.shape[1] for e in same_length({k: torch.zeros(1, n, 2) for k, n in enumerate((5 * 77, 7 * 77, 11 * 77))}).values()} == {847}


def test_loops_lead_back_to_the_first_prompt(clips) -> None:
    [(tokens, _)], _, text = travel(clips["sd15"], "0: a cat\n8: a dog", 16, TravelOptions(loop=True))
    cat, dog = plain(clips["sd15"], "a cat")[0], plain(clips["sd15"], "a dog")[0]
    for i in range(16):
        assert torch.allclose(tokens[i : i + 1], torch.lerp(cat, dog, 1 - abs(i - 8) / 8), atol=1e-6)
    assert "9-15: a dog > a cat" in text


def test_spherical_keeps_the_length(clips) -> None:
    options = TravelOptions(blend="spherical")
    [(tokens, _)], *_ = travel(clips["sd15"], "0: a cat\n2: a dog", 3, options)
    straight = travel(clips["sd15"], "0: a cat\n2: a dog", 3)[0][0][0]
    lengths, short = tokens.norm(dim=-1), straight.norm(dim=-1)
    between = (lengths[0] + lengths[2]) / 2
    assert (lengths[1] >= short[1] - 1e-4).all() and (lengths[1] / between - 1).abs().max() < 0.02
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    assert torch.allclose(interpolated(a, b, 0.5, "spherical"), torch.tensor([[0.7071, 1.4142]]), atol=1e-4)
    assert torch.allclose(interpolated(a, a * 3, 0.5, "spherical"), a * 2)


# --- encoding --------------------------------------------------------------------------------------------------------


def test_each_distinct_prompt_is_encoded_once(clips, counted: list[Any]) -> None:
    lines = [f"{frame}: {'a cat' if frame % 4 else 'a dog'}" for frame in range(20)]
    [(tokens, _)], _, text = travel(clips["sd15"], "\n".join(lines), 20)
    assert len(counted) == 2 + EMPTY and tokens.shape[0] == 20 and text.startswith("20 frames, 2 prompts")


def test_a_prompt_used_ten_times_is_encoded_once(clips, counted: list[Any]) -> None:
    conditioning_, *_ = travel(clips["sdxl"], "\n".join(f"{frame}: a cat" for frame in range(10)), 10)
    assert len(counted) == 1 + EMPTY
    assert torch.equal(conditioning_[0][0][:1], plain(clips["sdxl"], "a cat")[0])


def test_prompts_behind_the_end_are_not_encoded_unless_seen(clips, counted: list[Any]) -> None:
    travel(clips["sd15"], "0: a cat\n8: a dog\n100: a fish\n200: a bird", 9)
    assert len(counted) == 2 + EMPTY
    *_, text = travel(clips["sd15"], "0: a cat\n8: a dog\n100: a fish\n200: a bird", 16)
    assert len(counted) == 5 + 2 * EMPTY and "100 lies after the last frame, 15" in text


def test_one_prompt_is_one_embedding(clips) -> None:
    given, _, text = travel(clips["sd15"], "a cat", 64)
    assert given[0][0].shape[0] == 1 and text == "64 frames, 1 prompt\n0-63: a cat"


@pytest.mark.parametrize(
    ("text", "options", "whole"),
    [
        ("0: a cat,", TravelOptions(), "a cat,"),
        ("0: a cat,", TravelOptions("best, ", " ,sharp"), "best, a cat, sharp"),
        ("best\n0: a cat\nsharp", TravelOptions("very"), "very, best, a cat, sharp"),
    ],
)
def test_text_around_prompts(text: str, options: TravelOptions, whole: str) -> None:
    assert plan(text, 8, options).positive[0].a.text == whole


# --- negative parts, numbers, parts of a timeline ----------------------------------------------------------------------


def test_what_stands_after_neg_is_the_negative(clips) -> None:
    """In a prompt, in text for all prompts, and around them: the same keyframes, and the empty prompt where nothing is said."""
    clip = clips["sd15"]
    text = "best --neg ugly\n0: a cat --neg blurry\n8: a dog"
    (positive,), (negative,), _ = travel(clip, text, 9, TravelOptions("photo", "sharp --neg low"))
    cat, dog = (plain(clip, f"photo, best, a {animal}, sharp") for animal in ("cat", "dog"))
    blurry, rest = plain(clip, "ugly, blurry, low"), plain(clip, "ugly, low")
    for (tokens, options), start, end in ((positive, cat, dog), (negative, blurry, rest)):
        assert torch.equal(tokens[:1], start[0]) and torch.equal(tokens[8:], end[0])
        assert torch.allclose(tokens[2:3], torch.lerp(start[0], end[0], 0.25), atol=1e-6)
        assert torch.allclose(options["pooled_output"][2:3], torch.lerp(start[1], end[1], 0.25), atol=1e-6)
    _, empty, _ = travel(clip, "0: a cat\n8: a dog", 9)
    assert len(empty) == 1 and torch.equal(empty[0][0], plain(clip, "")[0])


def test_expressions_are_numbers_in_each_frame(clips, counted: list[Any]) -> None:
    """Between keyframes both prompts are worked out in the frame, and then mixed."""
    clip = clips["sd15"]
    values = {"a": as_strength([0.2, 0.4, 0.6]), "b": make_curve("0: 0, -1: 2")}
    [(tokens, _)], *_ = travel(clip, "0: a (cat:`a`)\n4: a (dog:`pw_b + t / max_f`)", 5, TravelOptions(values=values))
    given = [(0.2, 0.0), (0.4, 0.75), (0.6, 1.5), (0.6, 2.25), (0.6, 3.0)]  # a list goes on with its last number
    assert len(counted) == 7 + EMPTY  # three cats, and a dog in each frame but the first
    for i, (cat, dog) in enumerate(given):
        start, end = plain(clip, f"a (cat:{cat})")[0], plain(clip, f"a (dog:{dog})")[0]
        assert torch.allclose(tokens[i : i + 1], torch.lerp(start, end, i / 4), atol=1e-6), i


def test_the_same_numbers_are_encoded_once(clips, counted: list[Any]) -> None:
    given, *_ = travel(clips["sd15"], "a (cat:`1 + (t > 7) * 0.5`)", 16)
    assert len(counted) == 2 + EMPTY and given[0][0].shape[0] == 16
    assert torch.equal(given[0][0][7:8], plain(clips["sd15"], "a (cat:1)")[0])
    assert torch.equal(given[0][0][8:9], plain(clips["sd15"], "a (cat:1.5)")[0])
    still, *_ = travel(clips["sd15"], "a (cat:`1 / 2`)", 16)
    assert still[0][0].shape[0] == 1 and torch.equal(still[0][0], plain(clips["sd15"], "a (cat:0.5)")[0])


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("0: a\n8: a (b:`c`)", TravelOptions(), r"Line 2, column 10: 'c' is not known here\. Known are max_f, pi, t; in prompts also what is connected"),
        ("0: a\n4: (b:`8 / (t - 6)`)", TravelOptions(), r"Line 2, column 1: 8 / \(t - 6\) needs a number of at most 1e\+09; it is inf where t is 6"),
        ("0: a", TravelOptions(append="x\ny `t"), "Line 2, column 3: in append: this backtick is not closed"),
        ("0: a `a`", TravelOptions(values={"a": make_curve("0: 0, 1.0: 1", over="steps")}), "for each frame; got a curve over steps"),
        ("0: a `a`", TravelOptions(values={"a": make_curve("1", mask=torch.ones(2, 2))}), "for each frame; got a curve with a mask"),
    ],
)
def test_numbers_that_cannot_be(text: str, options: TravelOptions, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan(text, 16, options)


def test_curves_times_curves(clips) -> None:
    values = {"a": make_curve("0: 0, -1: 4", times=[1.0, 0.5])}
    assert [mix.a.text for mix in plan("`a`", 5, TravelOptions(values=values)).positive] == ["0", "0.5", "1", "1.5", "2"]


@pytest.mark.parametrize("loop", [False, True])
def test_a_part_of_a_timeline_is_that_part(clips, loop: bool) -> None:
    """Frames 6 to 9 of 12 alone are those of all 12, numbers and positions from the end included."""
    text, values = "0: a cat\n50%: a (dog:`a * t / max_f`)\n-1: a bird", {"a": make_curve("0: 1, -1: 2")}
    whole, *_ = travel(clips["sd15"], text, 12, TravelOptions(loop=loop, values=values))
    part, _, words = travel(clips["sd15"], text, 4, TravelOptions(loop=loop, values=values, start_frame=6, timeline_frames=12))
    assert torch.equal(part[0][0], whole[0][0][6:10])
    assert words.splitlines()[0] == "4 frames from 6 of 12, 5 prompts" and words.splitlines()[1].startswith("6: a (dog")
    last, *_ = travel(clips["sd15"], text, 6, TravelOptions(loop=loop, values=values, start_frame=6))
    assert torch.equal(last[0][0], whole[0][0][6:])  # without a length, the timeline ends with the animation
    after, *_ = travel(clips["sd15"], "0: a cat\n8: a dog", 4, TravelOptions(loop=loop, start_frame=16, timeline_frames=16))
    animal = "cat" if loop else "dog"
    assert torch.equal(after[0][0][:1], plain(clips["sd15"], f"a {animal}")[0])


def test_joined_with_spaces_and_filled_with_zeros(clips) -> None:
    """As FizzNodes and AnimateDiff-Evolved do it."""
    assert plan("0: a cat,", 8, TravelOptions("best,", "sharp", joint="spaces")).positive[0].a.text == "best, a cat, sharp"
    assert plan("0: a cat", 8, TravelOptions(" ", "4k", joint="spaces")).positive[0].a.text == "a cat 4k"
    [(tokens, _)], *_ = travel(clips["sd15"], f'0: "a cat"\n8: "{LONG}"', 9, TravelOptions(padding="zeros"))
    cat, long = plain(clips["sd15"], "a cat")[0], plain(clips["sd15"], LONG)[0]
    assert torch.equal(tokens[8:], long) and torch.equal(tokens[:1, 38:115], cat)
    assert not tokens[0, :38].any() and not tokens[0, 115:].any()


def test_one_frame_of_a_travel(clips) -> None:
    given, *_ = travel(clips["sd15"], "0: a cat\n8 hooks 1: a cat\n12: a dog", 16, hooks={1: comfy.hooks.HookGroup()})
    for (tokens, options), (one, of_one) in zip(given, frame_of(given, 9), strict=True):
        assert torch.equal(one, tokens[9:10]) and torch.equal(of_one["mask"], options["mask"][9:10])
        assert torch.equal(of_one["pooled_output"], options["pooled_output"][9:10])
    still, *_ = travel(clips["sd15"], "a cat", 16)
    assert torch.equal(frame_of(still, 9)[0][0], still[0][0])
    with pytest.raises(ValueError, match="Needed a frame from 0 to 15; got 16"):
        frame_of(given, 16)


# --- in words --------------------------------------------------------------------------------------------------------


def test_the_node_says_which_prompt_holds_which_frames() -> None:
    text = 'best\n0..3: a cat\n8 hold: a dog\n12 hooks 2: "a bird, ' + "x" * 60 + '"'
    assert describe_travel(plan(text, 16, TravelOptions())).split("\n") == [
        "16 frames, 3 prompts",
        "with every prompt: best",
        "0-3: a cat",
        "4-7: a cat > a dog",
        "8-11: a dog",
        f"12-15: a bird, {'x' * 39}... [hooks 2]",
    ]


# --- LoRA hooks ------------------------------------------------------------------------------------------------------


def lora_hooks(model: Any, clip: Any, strength: float = 1.0) -> Any:
    """LoRA hooks for one layer of the UNet and one of the text encoder."""
    random = torch.Generator().manual_seed(5)
    weight = model.model.diffusion_model.middle_block[1].proj_in.weight
    name, rest = "lora_unet_mid_block_attentions_0_proj_in", (1,) * (weight.ndim - 2)
    text_weight = next(w for key, w in clip.patcher.model.state_dict().items() if key.endswith("layers.0.mlp.fc1.weight"))
    text_name = "lora_te_text_model_encoder_layers_0_mlp_fc1"
    lora = {}
    for key, w, tail in ((name, weight, rest), (text_name, text_weight, ())):
        lora[f"{key}.lora_up.weight"] = torch.randn(w.shape[0], 2, *tail, generator=random)
        lora[f"{key}.lora_down.weight"] = torch.randn(2, w.shape[1], *tail, generator=random)
    return comfy.hooks.create_hook_lora(lora, strength, strength)


def test_hooks_hold_their_frames(clips, model) -> None:
    clip, hooks = clips["sd15"], lora_hooks(model, clips["sd15"])
    given, _, text = travel(clip, "0: a cat\n4 hooks 1: a dog\n8: a bird", 9, hooks={1: hooks})
    assert len(given) == 2 and "4: a dog [hooks 1]" in text
    (rest, bare), (hooked, with_hooks) = given
    assert "hooks" not in bare and len(with_hooks["hooks"].hooks) == len(hooks.hooks)
    shares = with_hooks["mask"][:, 0, 0]
    assert torch.allclose(shares, torch.tensor([0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0]))
    assert torch.allclose(bare["mask"] + with_hooks["mask"], torch.ones(9, 8, 8))
    assert torch.equal(rest[2:3], plain(clip, "a cat")[0]) and torch.equal(rest[6:7], plain(clip, "a bird")[0])
    assert not torch.allclose(hooked[4:5], plain(clip, "a dog")[0])  # the text encoder has its LoRA too
    assert torch.equal(plain(clip, "a dog")[0], plain(clip, "a dog")[0])


def test_hooks_change_their_frames_only(clips, model) -> None:
    """Sampled without motion: frames of the prompt without hooks are what they are without any hooks."""
    clip, hooks = clips["sd15"], lora_hooks(model, clips["sd15"])

    def narrow(given: list[Any]) -> list[Any]:  # the text encoders of the demo are wider than the tiny UNet
        return [[tokens[..., :64], options] for tokens, options in given]

    text = "0..7: a cat\n8..15 hooks 1: a cat"
    hooked = run_ksampler(model, positive=narrow(travel(clip, text, 16, hooks={1: hooks})[0]))
    bare = run_ksampler(model, positive=narrow(travel(clip, text.replace(" hooks 1", ""), 16)[0]))
    near = (hooked - bare).flatten(1).norm(dim=1) / bare.flatten(1).norm(dim=1)
    assert near[:8].max() < 1e-4 and near[8:].min() > 1e-3


def test_hooks_of_the_text_encoder_stay(clips, model) -> None:
    """A CLIP with hooks for itself alone keeps them under a prompt's own; the image model gets the prompt's own only."""
    from comfy_extras.nodes_hooks import SetClipHooks

    first, second = lora_hooks(model, clips["sd15"]), lora_hooks(model, clips["sd15"], 0.5)
    clip = SetClipHooks().apply_hooks(clips["sd15"], schedule_clip=False, apply_to_conds=False, hooks=first)[0]
    hooked = with_prompt_hooks(clip, second)
    assert len(hooked.patcher.forced_hooks.hooks) == 2 and len(hooked.apply_hooks_to_conds.hooks) == 1
    assert len(clip.patcher.forced_hooks.hooks) == 1 and clip.apply_hooks_to_conds is None
    embeddings = [plain(given, "a cat")[0] for given in (clips["sd15"], clip, hooked)]
    assert all((a - b).abs().max() > 1e-3 for a, b in zip(embeddings, embeddings[1:] + embeddings[:1], strict=True))


def test_hooks_that_are_not_connected(clips) -> None:
    with pytest.raises(TimelineError, match=r"Line 2, column 1: hooks 3 is not connected\. Connect LoRA hooks to the socket hooks_3"):
        travel(clips["sd15"], "0: a cat\n8 hooks 3: a dog", 16)


def test_a_clip_with_hooks_of_its_own_that_change_over_the_steps(clips, model) -> None:
    """The host encodes such prompts once per keyframe of the hooks; each part travels by itself."""
    from comfy_extras.nodes_hooks import SetClipHooks

    hooks = lora_hooks(model, clips["sd15"])
    keyframes = comfy.hooks.HookKeyframeGroup()
    for strength, start in ((1.0, 0.0), (0.2, 0.5)):
        keyframes.add(comfy.hooks.HookKeyframe(strength=strength, start_percent=start))
    hooks.set_keyframes_on_hooks(keyframes)
    clip = SetClipHooks().apply_hooks(clips["sd15"], schedule_clip=True, apply_to_conds=True, hooks=hooks)[0]
    given, *_ = travel(clip, "0: a cat\n7: a dog", 8)
    assert [(o["clip_start_percent"], o["clip_end_percent"]) for _, o in given] == [(0.0, 0.5), (0.5, 1.0)]
    assert all(tokens.shape[0] == 8 for tokens, _ in given) and not torch.allclose(given[0][0], given[1][0])


# --- input -----------------------------------------------------------------------------------------------------------


def test_a_checkpoint_without_text_encoder() -> None:
    with pytest.raises(ValueError, match="Needed a CLIP, got none"):
        travel(None, "0: a cat", 16)


def test_errors_come_before_anything_is_encoded(clips, counted: list[Any]) -> None:
    with pytest.raises(TimelineError, match="Line 2, column 3"):
        travel(clips["sd15"], "0: a cat\n8 slow: a dog", 16)
    assert not counted
