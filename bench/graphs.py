"""Whether graphs made with AnimateDiff-Evolved make the same animation here as with that pack.

The same API prompts run in two servers, one with AnimateDiff-Evolved (a copy whose hard-coded widths are those of the tiny models) and
one with this pack; the sampled latents are compared. `python3 dev.py bench graphs --ade PATH_OF_ANIMATEDIFF_EVOLVED` runs this file.
The exit status is 1 when a graph is further away than the limit, unless its line says why.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.append(str(REPOSITORY))  # last: nothing of ours may hide a library

from demo.cache import SetupError  # noqa: E402
from demo.client import ComfyClient, PromptError  # noqa: E402
from demo.environment import Environment, link_folder  # noqa: E402
from demo.server import Server  # noqa: E402
from demo.tiny_unet import SDXL as TINY_SDXL  # noqa: E402
from demo.tiny_unet import WORLD  # noqa: E402

LIMIT = 1e-3
"""Relative L2 of the sampled latents."""
WIDTHS, SDXL_WIDTHS = WORLD.widths, TINY_SDXL.widths
"""Channels of the levels of the tiny UNets; those of the other pack are written in its code."""
FRAMES, WINDOW = 12, 6
Prompt = dict[str, dict[str, Any]]
V1, V2, V3, LCM, SDXL, HOTSHOT = (
    "mm_sd_v15.ckpt", "mm_sd_v15_v2.ckpt", "v3_sd15_mm.ckpt", "AnimateLCM_sd15_t2v.ckpt", "mm_sdxl_v10_beta.ckpt",
    "hsxl_temporal_layers.f16.safetensors",
)  # fmt: skip
BETAS = (
    "autoselect", "use existing", "sqrt_linear (AnimateDiff)", "linear (AnimateDiff-SDXL)", "linear (HotshotXL/default)",
    "avg(sqrt_linear,linear)", "lcm avg(sqrt_linear,linear)", "lcm", "lcm[100_ots]", "lcm >> sqrt_linear", "sqrt", "cosine",
    "squaredcos_cap_v2",
)  # fmt: skip


# --- the graphs ------------------------------------------------------------------------------------------------------


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    """A node of a prompt."""
    return {"class_type": kind, "inputs": inputs}


def sampled(model: str, more: Prompt, *, frames: int = FRAMES, lcm: bool = False, checkpoint: str = "tiny_sd15.safetensors") -> Prompt:
    """A prompt around the MODEL of node ``model``, which ``more`` nodes make; the latent of node 9 is compared."""
    names = {"sampler_name": "lcm", "scheduler": "sgm_uniform", "cfg": 1.5} if lcm else {"sampler_name": "euler", "scheduler": "normal", "cfg": 7.0}
    return {
        "1": node("CheckpointLoaderSimple", ckpt_name=checkpoint),
        "2": node("CLIPTextEncode", text="a red ball on a hill", clip=["1", 1]),
        "3": node("CLIPTextEncode", text="blurry", clip=["1", 1]),
        "4": node("EmptyLatentImage", width=64, height=64, batch_size=frames),
        "9": node("KSampler", model=[model, 0], positive=["2", 0], negative=["3", 0], latent_image=["4", 0], seed=5, steps=4, denoise=1.0, **names),
        **more,
    }


def gen1(module: str = V2, betas: str = "autoselect", **links: Any) -> dict[str, Any]:
    """The loader of the first generation."""
    return node("ADE_AnimateDiffLoaderGen1", model=["1", 0], model_name=module, beta_schedule=betas, **links)


def legacy(module: str = V2, proper: bool = True, **links: Any) -> dict[str, Any]:
    """The loader of 2023."""
    return node(
        "ADE_AnimateDiffLoaderWithContext", model=["1", 0], model_name=module, beta_schedule="sqrt_linear (AnimateDiff)",
        apply_v2_models_properly=proper, **{"motion_scale": 1.0, **links},
    )  # fmt: skip


def contexts() -> dict[str, dict[str, Any]]:
    """Every kind of context options."""
    later = {"use_on_equal_length": False, "start_percent": 0.0, "guarantee_steps": 1}
    size = {"context_length": WINDOW, "context_overlap": 2}
    kinds = {
        "uniform of 2023": node("ADE_AnimateDiffUniformContextOptions", **size, context_stride=1, context_schedule="uniform", closed_loop=False),
        "uniform of 2023, closed loop": node(
            "ADE_AnimateDiffUniformContextOptions", **size, context_stride=1, context_schedule="uniform", closed_loop=True),
        "looped uniform, pyramid": node("ADE_LoopedUniformContextOptions", **size, context_stride=1, closed_loop=True, fuse_method="pyramid", **later),
        "looped uniform, equal length": node(
            "ADE_LoopedUniformContextOptions", **{**size, "context_length": FRAMES}, context_stride=1, closed_loop=True, fuse_method="flat",
            **{**later, "use_on_equal_length": True}),
        "batched": node("ADE_BatchedContextOptions", context_length=WINDOW, start_percent=0.0, guarantee_steps=1),
    }  # fmt: skip
    for fuse in ("pyramid", "flat", "overlap-linear", "relative"):
        kinds[f"standard static, {fuse}"] = node("ADE_StandardStaticContextOptions", **size, fuse_method=fuse, **later)
        if fuse != "relative":
            kinds[f"standard uniform, {fuse}"] = node("ADE_StandardUniformContextOptions", **size, context_stride=1, fuse_method=fuse, **later)
    return kinds


def settings(**more: Any) -> dict[str, Any]:
    """Sample settings."""
    usual = {"batch_offset": 0, "noise_type": "default", "seed_gen": "comfy", "seed_offset": 0, "adapt_denoise_steps": False}
    return node("ADE_AnimateDiffSamplingSettings", **{**usual, **more})


def graphs() -> dict[str, Prompt]:
    """Every graph by its name."""
    found: dict[str, Prompt] = {}
    for module in (V1, V2, V3, LCM):
        for proper in (True, False):
            found[f"loader of 2023, {module}, v2 properly {proper}"] = sampled("10", {"10": legacy(module, proper)})
    for module in (SDXL, HOTSHOT):
        found[f"first generation, {module}"] = sampled("10", {"10": gen1(module)}, frames=8, checkpoint="tiny_sdxl.safetensors")
    for betas in BETAS:
        found[f"beta schedule {betas}"] = sampled("10", {"10": gen1(betas=betas)}, lcm="lcm" in betas)
    found["beta schedule autoselect of AnimateLCM"] = sampled("10", {"10": gen1(LCM)}, lcm=True)
    for name, context in contexts().items():
        found[f"context {name}"] = sampled("10", {"10": legacy(context_options=["11", 0]), "11": context})
    later = node("ModelSamplingDiscrete", model=["10", 0], sampling="lcm", zsnr=False)
    found["a later ModelSampling node"] = sampled("12", {"10": legacy(LCM), "12": later}, lcm=True)
    found["an earlier ModelSampling node"] = sampled("10", {
        "10": {**legacy(), "inputs": {**legacy()["inputs"], "model": ["12", 0]}},
        "12": node("ModelSamplingDiscrete", model=["1", 0], sampling="lcm", zsnr=False)})
    found["a schedule on the checkpoint"] = sampled("10", {
        "10": gen1(betas="use existing"), "1": node("CheckpointLoaderSimpleWithNoiseSelect", ckpt_name="tiny_sd15.safetensors",
                                                    beta_schedule="sqrt_linear (AnimateDiff)")})
    return found | _strengths() | _sampling() | _second()


def _strengths() -> dict[str, Prompt]:
    lora = node("ADE_AnimateDiffLoRALoader", name="v2_lora_PanLeft.ckpt", strength=0.8)
    two = node("ADE_AnimateDiffLoRALoader", name="v2_lora_ZoomIn.ckpt", strength=0.5, prev_motion_lora=["11", 0])
    mask = node("SolidMask", value=0.6, width=64, height=64)
    key = node("ADE_AnimateDiffKeyframe", start_percent=0.4, inherit_missing=True, guarantee_steps=1, scale_multival=["11", 0])
    value = node("ADE_MultivalDynamic", float_val=1.3)
    adjust = node("ADE_AnimateDiffSettings", pe_adjust=["12", 0], weight_adjust=["13", 0])
    return {
        "motion LoRA": sampled("10", {"10": gen1(motion_lora=["11", 0]), "11": lora}),
        "two motion LoRAs": sampled("10", {"10": gen1(motion_lora=["12", 0]), "11": lora, "12": two}),
        "motion scale 1.3": sampled("10", {"10": legacy(motion_scale=1.3)}),
        "multival of scale": sampled("10", {"10": gen1(scale_multival=["11", 0]), "11": value}),
        "multival of effect": sampled("10", {"10": gen1(effect_multival=["11", 0]), "11": node("ADE_MultivalDynamic", float_val=0.7)}),
        "multival with a mask": sampled("10", {"10": gen1(effect_multival=["11", 0]), "12": mask,
                                                 "11": node("ADE_MultivalDynamic", float_val=0.9, mask_optional=["12", 0])}),
        "multival scaled mask": sampled("10", {"10": gen1(scale_multival=["11", 0]), "12": mask, "11": node(
            "ADE_MultivalScaledMask", min_float_val=0.5, max_float_val=1.5, mask=["12", 0], scaling="absolute")}),
        "keyframe": sampled("10", {"10": gen1(ad_keyframes=["12", 0]), "11": value, "12": key}),
        "positions 16 to 18, weights 1.01": sampled("10", {
            "10": gen1(ad_settings=["11", 0]), "11": adjust,
            "12": node("ADE_AdjustPESweetspotStretch", sweetspot=16, new_sweetspot=18, print_adjustment=False),
            "13": node("ADE_AdjustWeightAllMult", all_MULT=1.01, print_adjustment=False)}),
        "positions full stretch": sampled("10", {
            "10": gen1(ad_settings=["11", 0]), "11": node("ADE_AnimateDiffSettings", pe_adjust=["12", 0]),
            "12": node("ADE_AdjustPEFullStretch", pe_stretch=8, print_adjustment=False)}),
        "single weights": sampled("10", {
            "10": gen1(ad_settings=["11", 0]), "11": node("ADE_AnimateDiffSettings", weight_adjust=["12", 0]),
            "12": node("ADE_AdjustWeightIndivMult", pe_MULT=0.9, attn_MULT=1.1, other_MULT=0.95, print_adjustment=False)}),
    }


def _sampling() -> dict[str, Prompt]:
    context = node("ADE_StandardStaticContextOptions", context_length=WINDOW, context_overlap=2, fuse_method="pyramid")
    found: dict[str, Prompt] = {}
    for noise in ("default", "constant", "empty", "repeated_context", "FreeNoise"):
        for generator in ("comfy", "auto1111"):
            given = settings(noise_type=noise, seed_gen=generator)
            found[f"noise {noise}, {generator}"] = sampled("10", {
                "10": gen1(context_options=["11", 0], sample_settings=["12", 0]), "11": context, "12": given})
    found["noise with offsets"] = sampled("10", {"10": gen1(sample_settings=["12", 0]), "12": settings(seed_offset=7, batch_offset=3)})
    found["FreeNoise without windows"] = sampled("10", {"10": gen1(sample_settings=["12", 0]), "12": settings(noise_type="FreeNoise")})
    found["custom CFG"] = sampled("10", {"10": gen1(sample_settings=["12", 0]), "12": settings(custom_cfg=["13", 0]), "13": node("ADE_CustomCFGSimple", cfg=2.0)})
    found["CFG keyframes"] = sampled("10", {
        "10": gen1(sample_settings=["12", 0]), "12": settings(custom_cfg=["14", 0]),
        "13": node("ADE_CustomCFGKeyframeSimple", cfg=9.0, start_percent=0.0, guarantee_steps=1),
        "14": node("ADE_CustomCFGKeyframeSimple", cfg=2.0, start_percent=0.5, guarantee_steps=1, prev_custom_cfg=["13", 0])})
    found["sigma schedule"] = sampled("10", {
        "10": gen1(sample_settings=["12", 0]), "12": settings(sigma_schedule=["13", 0]),
        "13": node("ADE_SigmaSchedule", beta_schedule="lcm avg(sqrt_linear,linear)")}, lcm=True)
    found["FreeInit"] = sampled("10", {
        "10": gen1(sample_settings=["12", 0]), "12": settings(iteration_opts=["13", 0]),
        "13": node("ADE_IterationOptsFreeInit", iterations=2, filter="gaussian", d_s=0.25, d_t=0.25, n_butterworth=4, sigma_step=999,
                   apply_to_1st_iter=False, init_type="FreeInit [sampler sigma]", iter_batch_offset=0, iter_seed_offset=1)})
    return found


def _second() -> dict[str, Prompt]:
    use = {"beta_schedule": "autoselect", "model": ["1", 0]}
    load, v3 = node("ADE_LoadAnimateDiffModel", model_name=V2), node("ADE_LoadAnimateDiffModel", model_name=V3)
    value = node("ADE_MultivalDynamic", float_val=1.2)
    views = node("ADE_StandardStaticViewOptions", view_length=WINDOW, view_overlap=2, fuse_method="pyramid")
    return {
        "second generation": sampled("10", {
            "10": node("ADE_UseEvolvedSampling", **use, m_models=["11", 0]), "12": load, "13": value,
            "11": node("ADE_ApplyAnimateDiffModelSimple", motion_model=["12", 0], scale_multival=["13", 0])}),
        "second generation, part of the run": sampled("10", {
            "10": node("ADE_UseEvolvedSampling", **use, m_models=["11", 0]), "12": load,
            "11": node("ADE_ApplyAnimateDiffModel", motion_model=["12", 0], start_percent=0.2, end_percent=0.7)}),
        "second generation, two modules": sampled("10", {
            "10": node("ADE_UseEvolvedSampling", **use, m_models=["11", 0]), "12": load, "14": v3,
            "11": node("ADE_ApplyAnimateDiffModel", motion_model=["12", 0], start_percent=0.0, end_percent=1.0, prev_m_models=["13", 0]),
            "13": node("ADE_ApplyAnimateDiffModel", motion_model=["14", 0], start_percent=0.0, end_percent=1.0)}),
        "second generation, views": sampled("10", {
            "10": node("ADE_UseEvolvedSampling", **use, m_models=["11", 0], context_options=["13", 0]), "12": load, "14": views,
            "11": node("ADE_ApplyAnimateDiffModelSimple", motion_model=["12", 0]),
            "13": node("ADE_ViewsOnlyContextOptions", view_opts_req=["14", 0], start_percent=0.0, guarantee_steps=1)}),
        "windows without a motion module": sampled("10", {
            "10": node("ADE_UseEvolvedSampling", **use, context_options=["11", 0]),
            "11": node("ADE_StandardStaticContextOptions", context_length=WINDOW, context_overlap=2, fuse_method="pyramid")}),
        "unloaded": sampled("12", {"10": gen1(), "12": node("ADE_AnimateDiffUnload", model=["10", 0])}),
    }


DEFECTS = {
    "beta schedule squaredcos_cap_v2": "there: it hands a table of numpy to torch and fails; here it is tested against its formula",
    "FreeInit": "there: the last result is diffused to sqrt(scale^2 + sigma^2), which is not of unit variance; here as the authors do",
}
"""Graphs whose distance is not counted, and why."""


# --- running them ----------------------------------------------------------------------------------------------------


def with_tiny_widths(pack: Path, copy: Path) -> Path:
    """A copy of AnimateDiff-Evolved for the tiny models. Raises SetupError where its code is not the one that is known."""
    shutil.copytree(pack, copy, ignore=shutil.ignore_patterns(".git"))
    file = copy / "animatediff" / "motion_module_ad.py"
    text = file.read_text(encoding="utf-8")
    changes = {"(320, 640, 1280, 1280)": str(WIDTHS), "(320, 640, 1280)": str(SDXL_WIDTHS), "self.middle_channel = 1280": f"self.middle_channel = {WIDTHS[-1]}"}
    for old, new in changes.items():
        if old not in text:
            raise SetupError(f"{file.name} of AnimateDiff-Evolved has no {old!r}: its widths cannot be changed.")
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")
    return copy


def in_single_precision(modules: Path, copies: Path) -> Path:
    """The motion modules as fp32 files: where files are fp16, the other pack merges motion LoRAs in fp32 on a processor, and we in fp16."""
    copies.mkdir()
    for file in modules.iterdir():
        pickled = file.suffix == ".ckpt"
        state: dict[str, torch.Tensor] = torch.load(file, weights_only=True) if pickled else safetensors.torch.load_file(file)
        state = {key: tensor.float() for key, tensor in state.get("state_dict", state).items()}
        torch.save(state, copies / file.name) if pickled else safetensors.torch.save_file(state, copies / file.name)
    return copies


def started(stack: ExitStack, base: Path, name: str, pack: Path, tiny: Path, precise: Path) -> ComfyClient:
    """A client of a server with one pack and the tiny models, motion modules in fp32."""
    (base / "custom_nodes").mkdir(parents=True)
    (base / "models").mkdir()
    link_folder(base / "custom_nodes" / name, pack)
    link_folder(base / "custom_nodes" / "animatediff-tiny-models", REPOSITORY / "demo" / "tiny_models_pack")
    link_folder(base / "input", tiny / "input")
    for folder in sorted((tiny / "models").iterdir()):
        link_folder(base / "models" / folder.name, precise if folder.name == "animatediff_models" else folder)
    environment = Environment(Path(os.environ["COMFYUI_PATH"]), Path(sys.executable), base)
    return ComfyClient(stack.enter_context(Server(environment, base / "server.log")).url)


def latent(client: ComfyClient, prompt: Prompt) -> np.ndarray[Any, Any] | str:
    """What node 9 samples; or the first line of why it does not."""
    saver = {"99": node("SaveLatent", samples=["9", 0], filename_prefix="compared")}
    try:
        output = client.run({**prompt, **saver})["99"]
    except PromptError as error:
        return str(error).splitlines()[0][:200]
    return safetensors.numpy.load(client.view(output["latents"][0]))["latent_tensor"].astype(np.float64)


def distance(ours: np.ndarray[Any, Any] | str, theirs: np.ndarray[Any, Any] | str) -> tuple[float, str]:
    """The relative L2, and in words what could not be run."""
    failed = [f"{name}: {value}" for name, value in (("here", ours), ("there", theirs)) if isinstance(value, str)]
    if isinstance(ours, str) or isinstance(theirs, str):
        return float("inf"), "; ".join(failed)
    found = float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
    return (found, "") if found == found else (float("inf"), "no number in both" if np.isnan(theirs).any() else "no number here")


def main() -> int:
    """Compare every graph; 1 when one is too far away."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="in the base directory with the tiny models")
    parser.add_argument("--ade", type=Path, required=True, metavar="PATH", help="a checkout of AnimateDiff-Evolved")
    parser.add_argument("--only", default="", metavar="TEXT", help="graphs whose name has this text")
    options = parser.parse_args()
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ["OMP_NUM_THREADS"] = "1"  # two servers of several threads each would wait for one another
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # an end from outside ends the servers too
    too_far = 0
    try:
        with tempfile.TemporaryDirectory() as made, ExitStack() as stack:
            edited = with_tiny_widths(options.ade.expanduser().resolve(), Path(made, "evolved"))
            tiny = options.folder.parent
            precise = in_single_precision(tiny / "models" / "animatediff_models", Path(made, "modules"))
            there = started(stack, Path(made, "there"), "ComfyUI-AnimateDiff-Evolved", edited, tiny, precise)
            here = started(stack, Path(made, "here"), "animatediff-native", REPOSITORY, tiny, precise)
            sys.stdout.write(f"{platform.machine()}, {REPOSITORY.name} against {options.ade}; {FRAMES} frames, 4 steps, fp32\n")
            for name, prompt in graphs().items():
                if options.only in name:
                    found, why = distance(latent(here, prompt), latent(there, prompt))
                    bad = found > LIMIT and name not in DEFECTS
                    too_far += bad
                    sys.stdout.write(f"{name:56} {found:8.1e} {'TOO FAR ' if bad else ''}{DEFECTS.get(name, why)}\n")
                    sys.stdout.flush()
    except (SetupError, KeyboardInterrupt) as error:
        sys.exit(str(error) or "Stopped.")
    return int(too_far > 0)


if __name__ == "__main__":
    sys.exit(main())
