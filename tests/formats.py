"""Every public file format of the AnimateDiff world, as patterns: names and shapes at full size, small files to load.

Written from the authors' code and published file sizes; ``unit/test_formats.py`` pins each pattern to a digest of the
complete key list it was compared with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from animatediff_native.demo import synthetic
from safetensors.torch import save_file
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Size:
    """Widths of a UNet: channels per level, of the text embedding, rank of its LoRAs (divided by 16 in small files)."""

    sd15: tuple[int, ...] = (320, 640, 1280, 1280)
    sdxl: tuple[int, ...] = (320, 640, 1280)
    text: int = 768
    lora: int = 1


FULL = Size()
SMALL = Size((32, 64, 128, 128), (32, 64, 128), 64, 16)


# --- motion modules --------------------------------------------------------------------------------------------------


def temporal(c: int, attentions: int, rows: int | None) -> Shapes:
    """One transformer block of a temporal block."""
    leaves: Shapes = {"ff_norm.weight": (c,), "ff_norm.bias": (c,), "ff.net.0.proj.weight": (8 * c, c)}
    leaves |= {"ff.net.0.proj.bias": (8 * c,), "ff.net.2.weight": (c, 4 * c), "ff.net.2.bias": (c,)}
    for i in range(attentions):
        leaves |= {f"attention_blocks.{i}.to_{name}.weight": (c, c) for name in ("q", "k", "v", "out.0")}
        leaves |= {f"attention_blocks.{i}.to_out.0.bias": (c,), f"norms.{i}.weight": (c,), f"norms.{i}.bias": (c,)}
        if rows:
            leaves[f"attention_blocks.{i}.pos_encoder.pe"] = (1, rows, c)
    return leaves


def module(channels: tuple[int, ...], mid: bool, rows: int | None) -> Shapes:
    """A motion module in the original spelling."""
    shapes: Shapes = {}
    for place, c in synthetic.sites(channels, mid):
        stem = f"{place}.temporal_transformer"
        shapes |= {f"{stem}.norm.weight": (c,), f"{stem}.norm.bias": (c,)}
        for name in ("proj_in", "proj_out"):
            shapes |= {f"{stem}.{name}.weight": (c, c), f"{stem}.{name}.bias": (c,)}
        shapes |= {f"{stem}.transformer_blocks.0.{leaf}": shape for leaf, shape in temporal(c, 2, rows).items()}
    return shapes


def diffusers_name(key: str) -> str:
    """A motion key in diffusers' spelling; both attentions' positions become one."""
    key = key.replace(".temporal_transformer.", ".").replace(".ff_norm.", ".norm3.")
    key = re.sub(r"\.attention_blocks\.\d\.pos_encoder\.pe$", ".pos_embed.pe", key)
    key = re.sub(r"\.attention_blocks\.(\d)\.", lambda m: f".attn{int(m[1]) + 1}.", key)
    return re.sub(r"\.norms\.(\d)\.", lambda m: f".norm{int(m[1]) + 1}.", key)


def hotshot_name(key: str) -> str:
    """A motion key in HotshotXL's spelling."""
    key = re.sub(r"motion_modules\.(\d)\.temporal_transformer", r"temporal_attentions.\1", key)
    return key.replace("pos_encoder.pe", "pos_encoder.positional_encoding")


def renamed(shapes: Shapes, name: Callable[[str], str]) -> Shapes:
    return {name(key): shape for key, shape in shapes.items()}


def conv(name: str, out: int, into: int, side: int = 3) -> Shapes:
    return {f"{name}.weight": (out, into, side, side), f"{name}.bias": (out,)}


def linear(name: str, out: int, into: int) -> Shapes:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def levels_encoder(prefix: str, channels: tuple[int, ...], into: int, side: int) -> Shapes:
    """The image encoders of AnimateLCM-I2V and MotionCtrl: two blocks per level."""
    shapes = conv(f"{prefix}conv_in", channels[0], into)
    for i in range(8):
        c = channels[i // 2]
        shapes |= conv(f"{prefix}body.{i}.block1", c, c) | conv(f"{prefix}body.{i}.block2", c, c, side)
        if i in (2, 4):
            shapes |= conv(f"{prefix}body.{i}.in_conv", c, channels[i // 2 - 1], side)
    return shapes


# --- the image model -------------------------------------------------------------------------------------------------


def resnet(name: str, out: int, into: int, time: int) -> Shapes:
    shapes = {f"{name}.norm1.weight": (into,), f"{name}.norm1.bias": (into,)} | conv(f"{name}.conv1", out, into)
    shapes |= {f"{name}.norm2.weight": (out,), f"{name}.norm2.bias": (out,)} | conv(f"{name}.conv2", out, out)
    shapes |= linear(f"{name}.time_emb_proj", out, time)
    return shapes | (conv(f"{name}.conv_shortcut", out, into, 1) if out != into else {})


def spatial(name: str, c: int, text: int) -> Shapes:
    """A spatial transformer in diffusers' names."""
    shapes = {f"{name}.norm.weight": (c,), f"{name}.norm.bias": (c,)}
    shapes |= conv(f"{name}.proj_in", c, c, 1) | conv(f"{name}.proj_out", c, c, 1)
    inner = f"{name}.transformer_blocks.0"
    for i, width in ((1, c), (2, text)):
        shapes |= {f"{inner}.attn{i}.to_q.weight": (c, c)} | linear(f"{inner}.attn{i}.to_out.0", c, c)
        shapes |= {f"{inner}.attn{i}.to_{name}.weight": (c, width) for name in "kv"}
    shapes |= linear(f"{inner}.ff.net.0.proj", 8 * c, c) | linear(f"{inner}.ff.net.2", c, 4 * c)
    return shapes | {f"{inner}.norm{i}.{leaf}": (c,) for i in (1, 2, 3) for leaf in ("weight", "bias")}


def encoder(size: Size) -> Shapes:
    """Down and middle blocks of the SD1.5 UNet in diffusers' names."""
    channels, time = size.sd15, 4 * size.sd15[0]
    shapes = conv("conv_in", channels[0], 4)
    shapes |= linear("time_embedding.linear_1", time, channels[0]) | linear("time_embedding.linear_2", time, time)
    for level, c in enumerate(channels):
        for i in range(2):
            into = channels[max(level - 1, 0)] if i == 0 else c
            shapes |= resnet(f"down_blocks.{level}.resnets.{i}", c, into, time)
            shapes |= spatial(f"down_blocks.{level}.attentions.{i}", c, size.text) if level < 3 else {}
        shapes |= conv(f"down_blocks.{level}.downsamplers.0.conv", c, c) if level < 3 else {}
    for i in range(2):
        shapes |= resnet(f"mid_block.resnets.{i}", channels[3], channels[3], time)
    return shapes | spatial("mid_block.attentions.0", channels[3], size.text)


def unet(size: Size) -> Shapes:
    """The whole SD1.5 UNet in diffusers' names."""
    shapes, up, time = encoder(size), size.sd15[::-1], 4 * size.sd15[0]
    for level, c in enumerate(up):
        for i in range(3):
            before = up[max(level - 1, 0)] if i == 0 else c
            skip = up[min(level + 1, 3)] if i == 2 else c
            shapes |= resnet(f"up_blocks.{level}.resnets.{i}", c, before + skip, time)
            shapes |= spatial(f"up_blocks.{level}.attentions.{i}", c, size.text) if level > 0 else {}
        shapes |= conv(f"up_blocks.{level}.upsamplers.0.conv", c, c) if level < 3 else {}
    shapes |= {"conv_norm_out.weight": (size.sd15[0],), "conv_norm_out.bias": (size.sd15[0],)}
    return shapes | conv("conv_out", 4, size.sd15[0])


def sparse_control(size: Size, kind: str) -> Shapes:
    """SparseCtrl in the original spelling."""
    channels = size.sd15
    shapes, stem = encoder(size), "controlnet_cond_embedding"
    if kind == "rgb":
        shapes |= conv(stem, channels[0], 5)
    else:
        shapes |= conv(f"{stem}.conv_in", 16, 4) | conv(f"{stem}.conv_out", channels[0], 256)
        for i, (into, out) in enumerate(((16, 16), (16, 32), (32, 32), (32, 96), (96, 96), (96, 256))):
            shapes |= conv(f"{stem}.blocks.{i}", out, into)
    skips = [channels[0]] + [c for level, c in enumerate(channels) for _ in range(3 if level < 3 else 2)]
    for i, c in enumerate(skips):
        shapes |= conv(f"controlnet_down_blocks.{i}", c, c, 1)
    shapes |= conv("controlnet_mid_block", channels[3], channels[3], 1)
    for level, c in enumerate(channels):
        for i in range(2):
            motion = f"down_blocks.{level}.motion_modules.{i}.temporal_transformer"
            shapes |= {f"{motion}.norm.weight": (c,), f"{motion}.norm.bias": (c,)}
            shapes |= linear(f"{motion}.proj_in", c, c) | linear(f"{motion}.proj_out", c, c)
            shapes |= {f"{motion}.transformer_blocks.0.{leaf}": s for leaf, s in temporal(c, 1, 32).items()}
    return shapes


_RESNET_LDM = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip


def ldm_name(key: str) -> str:
    """A SparseCtrl key in the names of the original latent-diffusion code; motion keys stay."""
    if "motion_modules" in key:
        return key
    key = re.sub(r"^conv_in\.", "input_blocks.0.0.", key)
    key = key.replace("time_embedding.linear_1", "time_embed.0").replace("time_embedding.linear_2", "time_embed.2")
    key = key.replace("controlnet_cond_embedding.", "input_hint_block.0.")
    key = re.sub(r"^controlnet_down_blocks\.(\d+)\.", r"zero_convs.\1.0.", key)
    key = key.replace("controlnet_mid_block.", "middle_block_out.0.")
    key = re.sub(r"^down_blocks\.(\d)\.downsamplers\.0\.conv", lambda m: f"input_blocks.{3 * int(m[1]) + 3}.0.op", key)
    for part, slot, middle in (("resnets", 0, (0, 2)), ("attentions", 1, (1,))):
        key = re.sub(
            rf"^down_blocks\.(\d)\.{part}\.(\d)",
            lambda m, slot=slot: f"input_blocks.{3 * int(m[1]) + 1 + int(m[2])}.{slot}",
            key,
        )
        key = re.sub(rf"^mid_block\.{part}\.(\d)", lambda m, middle=middle: f"middle_block.{middle[int(m[1])]}", key)
    return re.sub(rf"\.({'|'.join(_RESNET_LDM)})\.(weight|bias)$", _resnet_leaf, key)


def _resnet_leaf(match: re.Match[str]) -> str:
    """Norms of spatial transformers have the same names as those of residual blocks."""
    inside = ".transformer_blocks." in match.string
    return match[0] if inside else f".{_RESNET_LDM[match[1]]}.{match[2]}"


# --- LoRAs -----------------------------------------------------------------------------------------------------------


def motion_targets(channels: tuple[int, ...], mid: bool, feed_forward: bool = False) -> Iterator[tuple[str, int, int]]:
    """Weights of a motion module that LoRAs change: path, rows, columns."""
    for place, c in synthetic.sites(channels, mid):
        stem = f"{place}.temporal_transformer.transformer_blocks.0"
        for i in (0, 1):
            yield from ((f"{stem}.attention_blocks.{i}.to_{name}", c, c) for name in ("q", "k", "v", "out"))
        if feed_forward:
            yield f"{stem}.ff.net.0.proj", 8 * c, c
            yield f"{stem}.ff.net.2", c, 4 * c


def pairs(targets: Iterator[tuple[str, int, int]], rank: int, down: Callable[[str], str], up: Callable[[str], str]) -> Shapes:
    shapes: Shapes = {}
    for path, rows, columns in targets:
        shapes |= {down(path): (rank, columns), up(path): (rows, rank)}
    return shapes


def processor(path: str) -> str:
    return re.sub(r"\.to_(q|k|v|out)$", r".processor.to_\1", path)


def original_lora(size: Size, mid: bool = True) -> Shapes:
    targets = motion_targets(size.sd15, mid)
    ends = [lambda p, side=side: f"{processor(p)}_lora.{side}.weight" for side in ("down", "up")]
    return pairs(targets, 64 // size.lora, *ends)


def peft_lora(size: Size) -> Shapes:
    def name(path: str, half: str) -> str:
        path = re.sub(r"to_out$", "to_out.0", path)
        return "unet." + diffusers_name(f"{path}.lora_{half}.weight")

    return pairs(motion_targets(size.sd15, True), 64 // size.lora, lambda p: name(p, "A"), lambda p: name(p, "B"))


def underscored_lora(size: Size) -> Shapes:
    def name(path: str, half: str) -> str:
        return f"{re.sub(r'to_out$', 'to_out.0', path).replace('.', '_')}.lora_{half}.weight"

    return pairs(motion_targets(size.sd15, True), 64 // size.lora, lambda p: name(p, "down"), lambda p: name(p, "up"))


def motion_director(size: Size, rank: int, mid: bool) -> Shapes:
    def name(path: str, side: str) -> str:
        path = path.replace(".to_out", ".to_out.processor.0").replace(".ff.net.2", ".ff.net.processor.2")
        path = path.replace(".ff.net.0.proj", ".ff.net.0.processor.proj")
        return f"{path if path.endswith('0') and 'to_out' in path else processor(path)}_lora.{side}.weight"

    targets = motion_targets(size.sd15, mid, feed_forward=True)
    return pairs(targets, rank // size.lora, lambda p: name(p, "down"), lambda p: name(p, "up"))


def spatial_weights(size: Size) -> Shapes:
    """Weights of the image model's spatial transformers."""
    return {key.removesuffix(".weight"): s for key, s in unet(size).items() if ".attentions." in key and key.endswith(".weight")}


def adapter(size: Size) -> Shapes:
    """The v3 domain adapter."""
    shapes: Shapes = {}
    for path, (rows, *columns) in spatial_weights(size).items():
        if re.search(r"\.to_(q|k|v|out\.0)$", path):
            stem = processor(path.removesuffix(".0"))
            shapes |= {f"{stem}_lora.down.weight": (128 // size.lora, *columns), f"{stem}_lora.up.weight": (rows, 128 // size.lora)}
    return shapes


def motion_director_spatial(size: Size) -> Shapes:
    shapes: Shapes = {}
    rank = 32 // size.lora
    for path, (rows, *columns) in spatial_weights(size).items():
        if re.search(r"\.(to_(q|k|v|out\.0)|ff\.net\.0\.proj|ff\.net\.2|proj_in)$", path):
            stem = processor(path.removesuffix(".0") if path.endswith("to_out.0") else path)
            rest = columns[1:]
            shapes |= {f"{stem}_lora.down.weight": (rank, *columns), f"{stem}_lora.up.weight": (rows, rank, *rest)}
    return shapes


def kohya(size: Size) -> Shapes:
    """The AnimateLCM LoRA: every weight of every block of the image model."""
    shapes: Shapes = {}
    rank = 64 // size.lora
    for key, shape in unet(size).items():
        if not re.match(r"(down|up|mid)_block", key) or not key.endswith(".weight") or len(shape) == 1:
            continue
        stem = "lora_unet_" + key.removesuffix(".weight").replace(".", "_")
        rest = (1,) * (len(shape) - 2)
        shapes |= {f"{stem}.lora_down.weight": (rank, *shape[1:]), f"{stem}.lora_up.weight": (shape[0], rank, *rest)}
        shapes[f"{stem}.alpha"] = ()
    return shapes


# --- adapters of other authors ---------------------------------------------------------------------------------------


def camera_control(size: Size) -> Shapes:
    channels = size.sd15
    shapes = conv("encoder_conv_in", channels[0], 384)
    for level, c in enumerate(channels):
        for i in range(2):
            stem = f"encoder_down_conv_blocks.{level}.{i}"
            shapes |= conv(f"{stem}.block1", c, c) | conv(f"{stem}.block2", c, c, 1)
            shapes |= conv(f"{stem}.in_conv", c, channels[level - 1], 1) if i == 0 and level in (1, 2) else {}
            stem = f"encoder_down_attention_blocks.{level}.{i}"
            shapes |= {f"{stem}.{leaf}": shape for leaf, shape in temporal(c, 1, 16).items()}
    for place, c in synthetic.sites(channels, False):
        stem = f"{place}.temporal_transformer.transformer_blocks.0.attention_blocks.0.processor.qkv_merge"
        shapes |= linear(stem, c, c)
    return shapes


def camera_motion(size: Size) -> Shapes:
    """MotionCtrl's camera half: the second attention of every block, and what feeds it the camera."""
    shapes: Shapes = {}
    for place, c in synthetic.sites(size.sd15, False):
        stem = f"module.{place}.temporal_transformer.transformer_blocks.0"
        shapes |= linear(f"{stem}.cc_projection", c, c + 12)
        for leaf, shape in temporal(c, 2, 32).items():
            if leaf.startswith(("attention_blocks.1.", "norms.1.")):
                shapes[f"{stem}.{leaf}"] = shape
    return shapes


def object_motion(size: Size) -> Shapes:
    """MotionCtrl's object half."""
    return levels_encoder("module.", size.sd15, 128, 3)


def fancy_video(size: Size) -> Shapes:
    c = size.sd15[0]
    shapes = module(size.sd15, True, 32) | conv("conv_in", c, 9) | {"FancyVideo": (1,)}
    return shapes | linear("fps_embedding.linear", 4 * c, c) | linear("motion_embedding.linear", 4 * c, c)


# --- the catalogue ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Format:
    """One public file: what it is called, how it is packed, what it holds, what it is."""

    name: str
    file: str
    kind: str
    shapes: Callable[[Size], Shapes]
    family: str = ""
    dtype: torch.dtype = torch.float32
    container: str = "zip"
    wrapper: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


def _catalogue() -> Iterator[Format]:
    half, st = torch.float16, "safetensors"
    v1, v2, v3 = (lambda s: module(s.sd15, False, 24)), (lambda s: module(s.sd15, True, 32)), (lambda s: module(s.sd15, False, 32))
    lcm = lambda s: module(s.sd15, True, None)  # noqa: E731
    sdxl, hotshot = (lambda s: module(s.sdxl, False, 32)), (lambda s: module(s.sdxl, False, 24))

    def mm(name: str, file: str, family: str, shapes: Callable[[Size], Shapes], **rest: object) -> Format:
        return Format(name, file, "motion module", shapes, family, **rest)

    def in_diffusers(shapes: Callable[[Size], Shapes]) -> Callable[[Size], Shapes]:
        return lambda s: renamed(shapes(s), diffusers_name)

    yield mm("mm_sd_v14", "mm_sd_v14.ckpt", "v1", v1)
    yield mm("mm_sd_v15", "mm_sd_v15.ckpt", "v1", v1)
    yield mm("mm_sd_v15_v2", "mm_sd_v15_v2.ckpt", "v2", v2)
    yield mm("v3_sd15_mm", "v3_sd15_mm.ckpt", "v3", v3)
    yield mm("mm_sdxl_v10_beta", "mm_sdxl_v10_beta.ckpt", "sdxl", sdxl)
    for name, family, shapes in (("v1", "v1", v1), ("v2", "v2", v2), ("v3", "v3", v3), ("AnimateLCM", "lcm", lcm)):
        yield mm(f"conrevo_mm_sd15_{name}_fp16", f"mm_sd15_{name}.safetensors", family, shapes, dtype=half, container=st)
    yield mm("conrevo_mm_sdxl_v10_beta_fp16", "mm_sdxl_v10_beta.safetensors", "sdxl", sdxl, dtype=half, container=st)
    yield mm("conrevo_mm_sdxl_hs_fp16", "mm_sdxl_hs.safetensors", "hotshot", hotshot, dtype=half, container=st)
    spelled = lambda s: renamed(hotshot(s), hotshot_name)  # noqa: E731
    yield mm("hsxl_temporal_layers", "hsxl_temporal_layers.safetensors", "hotshot", spelled, container=st)
    yield mm("hsxl_temporal_layers_f16", "hsxl_temporal_layers.f16.safetensors", "hotshot", spelled, dtype=half, container=st)
    yield mm("AnimateLCM_sd15_t2v", "AnimateLCM_sd15_t2v.ckpt", "lcm", lcm)
    i2v = lambda s: lcm(s) | levels_encoder("img_encoder.", s.sd15, 4, 1)  # noqa: E731
    yield mm("AnimateLCM_sd15_i2v", "AnimateLCM_sd15_i2v.ckpt", "i2v", i2v)
    for steps in (1, 2, 4, 8):
        stem = f"animatediff_lightning_{steps}step"
        yield mm(f"{stem}_comfyui", f"{stem}_comfyui.safetensors", "lightning", v2, dtype=half, container=st)
        yield mm(f"{stem}_diffusers", f"{stem}_diffusers.safetensors", "lightning", in_diffusers(v2), dtype=half, container=st)
    yield mm("temporaldiff_v1", "temporaldiff-v1-animatediff.ckpt", "v1", v1)
    for grade in ("mid", "high"):
        yield mm(f"mm_Stabilized_{grade}", f"mm-Stabilized_{grade}.pth", "v1", v1, container="legacy")
    for grade in ("0.5", "0.75"):
        yield mm(f"mm-p_{grade}", f"mm-p_{grade}.pth", "v2", v2, container="legacy")
    yield mm("lt_long_mm_32_frames", "lt_long_mm_32_frames.ckpt", "long32", lambda s: module(s.sd15, True, 64))
    yield mm("lt_long_mm_16_64_frames", "lt_long_mm_16_64_frames_v1.1.ckpt", "long64", lambda s: module(s.sd15, True, 128))
    pia = lambda s: v3(s) | conv("conv_in", s.sd15[0], 9)  # noqa: E731
    yield mm("pia", "pia.ckpt", "pia", pia)
    adapter_file = "diffusion_pytorch_model.safetensors"
    yield mm("diffusers_motion_adapter_v1_4_v1_5", adapter_file, "v1", in_diffusers(v1), container=st)
    yield mm("diffusers_motion_adapter_v1_5_2", adapter_file, "v2", in_diffusers(v2), container=st)
    yield mm("diffusers_motion_adapter_v1_5_3", adapter_file, "v3", in_diffusers(v3), container=st)
    yield mm("diffusers_motion_adapter_sdxl_beta", adapter_file, "sdxl", in_diffusers(sdxl), container=st)
    yield mm("diffusers_AnimateLCM", "AnimateLCM_diffusers.safetensors", "lcm", in_diffusers(v2), container=st)
    yield mm("diffusers_PIA", adapter_file, "pia", in_diffusers(pia), container=st)
    hello = "hm_animatediff_frame12.safetensors"
    yield mm("hellomeme_hm_animatediff_frame12_fp16", hello, "v3", in_diffusers(v3), dtype=half, container=st)
    trained = lambda s: {f"module.{key}": shape for key, shape in (unet(s) | module(s.sd15, False, None)).items()}  # noqa: E731
    yield mm("train_script_checkpoint_v3style_no_pe", "checkpoint.ckpt", "v3", trained, wrapper="state_dict")

    yield Format("CameraCtrl_pruned", "CameraCtrl_pruned.safetensors", "camera", camera_control, container=st)
    yield Format("motionctrl_cmcm", "motionctrl_animatediff_cmcm.ckpt", "camera", camera_motion, wrapper="state_dict")
    yield Format("motionctrl_omcm", "motionctrl_animatediff_omcm.ckpt", "camera", object_motion, wrapper="omcm_state_dict")
    yield Format("FancyVideo_v1_known_subset", "FancyVideo_v1.safetensors", "fancyvideo", fancy_video, container=st)

    lora = "motion lora"
    yield Format("v2_lora_original", "v2_lora_PanLeft.ckpt", lora, original_lora)
    yield Format("v2_lora_conrevo_fp16", "mm_sd15_v2_lora_PanLeft.safetensors", lora, original_lora, dtype=half, container=st)
    diffusers_lora = lambda s: {f"unet.{diffusers_name(key)}": shape for key, shape in original_lora(s).items()}  # noqa: E731
    yield Format("v2_lora_diffusers", adapter_file, lora, diffusers_lora, container=st)
    yield Format("v2_lora_peft_equivalent", "pan_left.safetensors", lora, peft_lora, container=st)
    underscored = "mm_sd15_v2_lora_PanLeft.safetensors"
    yield Format("v2_lora_conrevo_lora_v2_fp16", underscored, lora, underscored_lora, dtype=half, container=st)
    notes = {"model_type": "motion_director", "rank": "32"}
    director = lambda s: motion_director(s, 32, False)  # noqa: E731
    yield Format("motiondirector_temporal_r32", "walk_temporal.safetensors", lora, director, container=st, metadata=notes)
    wide = lambda s: motion_director(s, 64, True)  # noqa: E731
    notes_64 = {**notes, "rank": "64"}
    yield Format("motiondirector_temporal_r64_v2", "run_temporal.safetensors", lora, wide, container=st, metadata=notes_64)

    yield Format("v3_sd15_adapter", "v3_sd15_adapter.ckpt", "domain adapter", adapter)
    prefixed = lambda s: {f"unet.{key}": shape for key, shape in adapter(s).items()}  # noqa: E731
    yield Format("v3_sd15_adapter_diffusers", adapter_file, "domain adapter", prefixed, container=st)
    conrevo = "mm_sd15_v3_adapter.safetensors"
    yield Format("v3_sd15_adapter_conrevo_fp16", conrevo, "domain adapter", adapter, dtype=half, container=st)
    still = motion_director_spatial
    yield Format("motiondirector_spatial_r32", "walk_spatial.safetensors", "spatial lora", still, container=st, metadata=notes)
    lcm_lora = "AnimateLCM_sd15_t2v_lora.safetensors"
    yield Format("AnimateLCM_sd15_lora", lcm_lora, "lora", kohya, dtype=half, container=st)

    for kind in ("rgb", "scribble"):
        original = lambda s, kind=kind: sparse_control(s, kind)  # noqa: E731
        name = f"v3_sd15_sparsectrl_{kind}"
        yield Format(name, f"{name}.ckpt", "sparsectrl", original, wrapper="controlnet")
        spelled = lambda s, kind=kind: renamed(sparse_control(s, kind), diffusers_name)  # noqa: E731
        yield Format(f"diffusers_sparsectrl_{kind}", adapter_file, "sparsectrl", spelled, container=st)
        ldm = lambda s, kind=kind: renamed(sparse_control(s, kind), ldm_name)  # noqa: E731
        name = f"conrevo_sparsectrl_{kind}_fp16"
        yield Format(name, f"mm_sd15_v3_sparsectrl_{kind}.safetensors", "sparsectrl", ldm, dtype=half, container=st)


FORMATS = {item.name: item for item in _catalogue()}


def full(item: Format) -> dict[str, Tensor]:
    """All tensors of a file at full size, without memory."""
    return {key: torch.empty(shape, dtype=item.dtype, device="meta") for key, shape in item.shapes(FULL).items()}


def small(item: Format, seed: int = 0) -> dict[str, Tensor]:
    """All tensors of a file for the tiny UNets, with seeded weights of sensible size."""
    random = torch.Generator().manual_seed(seed)
    tensors = {}
    for key, shape in item.shapes(SMALL).items():
        if key.endswith((".pe", ".positional_encoding")):
            tensor = synthetic.sinusoid(shape[1], shape[2])
        elif len(shape) > 1:
            tensor = torch.randn(shape, generator=random) / max(1, torch.Size(shape[1:]).numel()) ** 0.5
        else:
            tensor = torch.randn(shape, generator=random) * 0.05 + float(key.endswith("weight"))
        tensors[key] = (torch.tensor(8.0 / SMALL.lora) if key.endswith(".alpha") else tensor).to(item.dtype)
    return tensors


def write(item: Format, folder: Path, seed: int = 0) -> Path:
    """The small file, packed as the public one."""
    tensors, path = small(item, seed), folder / item.file
    if item.container == "safetensors":
        save_file(tensors, path, item.metadata or None)
    else:
        packed = {"epoch": 3, "global_step": 7, item.wrapper: tensors} if item.wrapper else tensors
        torch.save(packed, path, _use_new_zipfile_serialization=item.container == "zip")
    return path
