"""AnimateDiff-Evolved: sample settings, custom CFG, iterations, noise schedules."""

from __future__ import annotations

from typing import Any, NamedTuple

from ....sampling.run.sample import SCHEDULERS
from ....sampling.timeline.keyframes import eased
from ..rows import Given, Link, NewGraph, OldNode, curve, flag, integer, is_link, one_of, real, socket

BETAS = {
    "autoselect": "legacy",
    "use existing": "checkpoint",
    "sqrt_linear (AnimateDiff)": "linear",
    "linear (AnimateDiff-SDXL)": "scaled_linear_0.020",
    "linear (HotshotXL/default)": "scaled_linear",
    "avg(sqrt_linear,linear)": "mean",
    "lcm avg(sqrt_linear,linear)": "lcm_50_mean",
    "lcm": "lcm_50_scaled_linear",
    "lcm[100_ots]": "lcm_100_scaled_linear",
    "lcm >> sqrt_linear": "lcm_50_linear",
    "sqrt": "sqrt",
    "cosine": "cosine",
    "squaredcos_cap_v2": "squaredcos_cap_v2",
}
"""Names of noise schedules there (LDM's words) and here (the authors')."""
BETA_NAMES = tuple(BETAS)
RAW_BETAS = {"linear": "scaled_linear", "sqrt_linear": "linear", "sqrt": "sqrt", "cosine": "cosine", "squaredcos_cap_v2": "squaredcos_cap_v2"}
NOISE_KINDS = {
    "default": "per frame", "constant": "constant", "empty": "empty", "repeated_context": "repeated", "FreeNoise": "freenoise",
}  # fmt: skip
DRAWN = {"comfy": "together", "comfy [gpu]": "together", "auto1111": "seed + frame", "auto1111 [gpu]": "seed + frame"}
FREEINIT_FILTERS = {"gaussian": "gaussian", "butterworth": "butterworth", "ideal": "ideal", "box": ""}


class CFGKey(NamedTuple):
    """An item of what travels on CUSTOM_CFG: from when, and a number or a curve."""

    start: float
    cfg: Any


class SampleSettings(NamedTuple):
    """What travels on SAMPLE_SETTINGS: the inputs of the nodes that they become."""

    noise: dict[str, Any] | None = None
    free_init: dict[str, Any] | None = None
    cfg: tuple[CFGKey, ...] = ()
    betas: dict[str, Any] | None = None


def schedule_of_field(graph: NewGraph, given: Given) -> str:
    """The noise schedule that a node names, in our words."""
    if not given.knows("beta_schedule"):
        graph.say(f"{given.row.title}: beta_schedule {given['beta_schedule']!r} is not known; the usual one is used.")
    return given.choice("beta_schedule", BETAS)


def with_sample_settings(graph: NewGraph, model: Link, settings: SampleSettings | None, betas: str) -> Link:
    """A MODEL with a noise schedule, noise, FreeInit and CFG."""
    settings = settings or SampleSettings()
    schedule = {"beta_schedule": betas} if settings.betas is None else settings.betas
    if schedule != {"beta_schedule": "checkpoint"}:
        model = graph.node("ApplyBetaSchedule", model=model, **schedule)
    if settings.noise is not None:
        model = graph.node("ApplyFrameNoise", model=model, **settings.noise)
    if settings.free_init is not None:
        model = graph.node("ApplyFreeInit", model=model, **settings.free_init)
    if settings.cfg:
        model = graph.node("ApplyCFGCurve", model=model, cfg=_cfg_over_run(graph, settings.cfg))
    return model


def _cfg_over_run(graph: NewGraph, keys: tuple[CFGKey, ...]) -> Any:
    if len(keys) == 1:
        return keys[0].cfg
    lines: dict[float, float] = {}
    for start, cfg in sorted(keys, key=lambda key: key.start):
        if isinstance(cfg, int | float):
            lines[start] = float(cfg)
        else:
            graph.say("Custom CFG Keyframe: a multival with a mask or a list is not followed over the steps; it has no effect.")
    text = "\n".join(f"{100 * start:.6g}% step: {cfg:g}" for start, cfg in lines.items())
    return curve(graph, text, over="steps")


# --- the nodes -------------------------------------------------------------------------------------------------------


def _settings(given: Given, graph: NewGraph) -> SampleSettings:
    for name, meaning in _NOT_DONE.items():
        if given[name]:
            graph.say(f"Sample Settings: {meaning} has no equal here and no effect.")
    noise = _noise(given, graph, always=given["iteration_opts"] is not None)
    return SampleSettings(noise, given["iteration_opts"], given["custom_cfg"] or (), given["sigma_schedule"])


_NOT_DONE = {
    "noise_layers": "a noise layer",
    "adapt_denoise_steps": "adapt_denoise_steps",
    "image_inject": "image injection",
    "ancestral_opts": "ancestral options",
}


def _noise(given: Given, graph: NewGraph, always: bool) -> dict[str, Any] | None:
    """Inputs of Apply Frame Noise; None for the host's own noise, unless FreeInit has to know how it is drawn."""
    if "gpu" in str(given["seed_gen"]):
        graph.say("Sample Settings: noise is drawn on the CPU here, also for seed_gen [gpu]; the same seed gives other noise.")
    kind, drawn = given.choice("noise_type", NOISE_KINDS), given.choice("seed_gen", DRAWN)
    offset, skipped = int(given["seed_offset"]), int(given["batch_offset"])
    seed = given["seed_override"] if is_link(given["seed_override"]) else None
    if not always and seed is None and (kind, drawn, offset, skipped) == ("per frame", "together", 0, 0):
        return None
    return {
        "kind": kind, "shared": 0.0, "length": 0, "overlap": 4, "drawn": drawn, "seed_offset": offset, "skip_frames": skipped,
        "noise_seed": seed,
    }  # fmt: skip


def _free_init(given: Given, graph: NewGraph) -> dict[str, Any]:
    found = given.choice("filter", FREEINIT_FILTERS)
    if not found:
        graph.say("FreeInit: the filter box has no equal here; ideal is used.")
    for name, usual in (("sigma_step", 999), ("apply_to_1st_iter", False), ("iter_batch_offset", 0), ("iter_seed_offset", 1)):
        if given[name] != usual:
            graph.say(f"FreeInit: {name} has no effect here.")
    if "DinkInit" in str(given["init_type"]):
        graph.say("FreeInit: the init_type DinkInit_v1 has no equal here; that of the paper is used.")
    return {
        "iterations": int(given["iterations"]), "filter": found or "ideal", "spatial": given["d_s"], "temporal": given["d_t"],
        "order": int(given["n_butterworth"]),
    }  # fmt: skip


def _iterations(given: Given, graph: NewGraph) -> None:
    if given["iterations"] > 1:
        graph.say("Default Iteration Options: sampling again without FreeInit has no equal here; it is sampled once.")


def _cfg(given: Given, graph: NewGraph) -> tuple[CFGKey, ...]:
    _no_cfg_extras(given, graph)
    if given.get("guarantee_steps", 1) > 1:
        graph.say(f"{given.row.title}: guarantee_steps has no effect here.")
    before: tuple[CFGKey, ...] = given.get("prev_custom_cfg") or ()
    value = given["cfg" if "cfg" in given else "cfg_multival"]
    return (*before, CFGKey(given.get("start_percent", 0.0), value))


def _cfg_between(given: Given, graph: NewGraph) -> tuple[CFGKey, ...]:
    _no_cfg_extras(given, graph)
    start, end, count = given["start_percent"], given["end_percent"], max(2, int(given["intervals"]))
    eased = [_ease(i / (count - 1), str(given["interpolation"])) for i in range(count)]
    low, high = given["cfg_start"], given["cfg_end"]
    keys = (CFGKey(start + (end - start) * i / (count - 1), low + (high - low) * t) for i, t in enumerate(eased))
    return (*(given["prev_custom_cfg"] or ()), *keys)


def _cfg_list(given: Given, graph: NewGraph) -> tuple[CFGKey, ...]:
    _no_cfg_extras(given, graph)
    values = given["cfgs_float"]
    numbers = [float(value) for value in values] if isinstance(values, list | tuple) else [float(values)]
    start, end, last = given["start_percent"], given["end_percent"], max(len(numbers) - 1, 1)
    keys = (CFGKey(start + (end - start) * i / last, number) for i, number in enumerate(numbers))
    return (*(given["prev_custom_cfg"] or ()), *keys)


def _ease(t: float, how: str) -> float:
    """Progress at the share ``t`` of the way; that pack's easings are ours."""
    return eased(t, how.replace("_", "-"))


def _no_cfg_extras(given: Given, graph: NewGraph) -> None:
    if given["cfg_extras"]:
        graph.say(f"{given.row.title}: CFG extras have no effect here; use the host's PerturbedAttentionGuidance or RescaleCFG.")


def _some_extras(given: Given, graph: NewGraph) -> tuple[str, ...]:
    return (given.row.title,)


def _betas(given: Given, graph: NewGraph) -> dict[str, Any]:
    name = schedule_of_field(graph, given)
    return {"beta_schedule": name} if name.startswith("lcm") else {"beta_schedule": name, "prediction": "eps"}


def _raw_betas(given: Given, graph: NewGraph) -> dict[str, Any]:
    return {
        "beta_schedule": given.choice("raw_beta_schedule", RAW_BETAS),
        "prediction": str(given["sampling"]),
        "linear_start": given["linear_start"],
        "linear_end": given["linear_end"],
        "lcm_steps": int(given["lcm_original_timesteps"]),
        "zsnr": bool(given["zsnr"]),
    }


def _one_of_two(given: Given, graph: NewGraph) -> dict[str, Any]:
    first = given.row.fields[0].name
    graph.say(f"{given.row.title}: noise schedules are not mixed here; {first} is used alone.")
    return given[first] or {"beta_schedule": "legacy"}


def _no_sigmas(given: Given, graph: NewGraph) -> None:
    raise ValueError("Sigma Schedule To Sigmas has no equal here. Use Apply Beta Schedule on the MODEL, and the host's BasicScheduler.")


def _not_done(given: Given, graph: NewGraph) -> tuple[str, ...]:
    return (given.row.title,)


_OUT_SIGMA = (("SIGMA_SCHEDULE", "SIGMA_SCHEDULE"),)
_TWO = (socket("schedule_A", "SIGMA_SCHEDULE"), socket("schedule_B", "SIGMA_SCHEDULE"))
_OUT_CFG = (("CUSTOM_CFG", "CUSTOM_CFG"),)
_EXTRAS = socket("cfg_extras", "CFG_EXTRAS")
_BEFORE = socket("prev_custom_cfg", "CUSTOM_CFG")
_START = (real("start_percent", 0.0), integer("guarantee_steps", 1))
_INTERPOLATION = one_of("interpolation", ("linear", "ease_in", "ease_out", "ease_in_out"))
_SEED = integer("seed_override", 0, linked=True)
_LAYER = (
    integer("batch_offset"), one_of("noise_type", tuple(NOISE_KINDS)), one_of("seed_gen_override", ("use existing", *DRAWN)),
    integer("seed_offset"), real("noise_weight", 0.5), real("balance_multiplier", 1.0), _SEED, socket("prev_noise_layers", "NOISE_LAYERS"),
    socket("mask_optional", "MASK"),
)  # fmt: skip
_OUT_LAYER, _OUT_EXTRAS = (("NOISE_LAYERS", "NOISE_LAYERS"),), (("CFG_EXTRAS", "CFG_EXTRAS"),)
_PREVIOUS_EXTRAS = socket("prev_extras", "CFG_EXTRAS")

NODES = (
    OldNode("ADE_AnimateDiffSamplingSettings", "Sample Settings", (
        integer("batch_offset"), one_of("noise_type", tuple(NOISE_KINDS)), one_of("seed_gen", tuple(DRAWN)), integer("seed_offset"), _SEED,
        flag("adapt_denoise_steps"), socket("noise_layers", "NOISE_LAYERS"), socket("iteration_opts", "ITERATION_OPTS"),
        socket("custom_cfg", "CUSTOM_CFG"), socket("sigma_schedule", "SIGMA_SCHEDULE"), socket("image_inject", "IMAGE_INJECT"),
        socket("ancestral_opts", "ANCESTRAL_OPTS")), (("settings", "SAMPLE_SETTINGS"),), _settings),
    OldNode("ADE_CustomCFGSimple", "Custom CFG", (real("cfg", 8.0), _EXTRAS), _OUT_CFG, _cfg),
    OldNode("ADE_CustomCFG", "Custom CFG [Multival]", (socket("cfg_multival", "MULTIVAL", needed=True), _EXTRAS), _OUT_CFG, _cfg),
    OldNode("ADE_CustomCFGKeyframeSimple", "Custom CFG Keyframe", (real("cfg", 8.0), *_START, _BEFORE, _EXTRAS), _OUT_CFG, _cfg),
    OldNode("ADE_CustomCFGKeyframe", "Custom CFG Keyframe [Multival]", (
        socket("cfg_multival", "MULTIVAL", needed=True, linked=False), *_START, _BEFORE, _EXTRAS), _OUT_CFG, _cfg),
    OldNode("ADE_CustomCFGKeyframeInterpolation", "Custom CFG Keyframes Interp.", (
        real("start_percent", 0.0), real("end_percent", 1.0), real("cfg_start", 8.0), real("cfg_end", 8.0), _INTERPOLATION,
        integer("intervals", 50), flag("print_keyframes"), _BEFORE, _EXTRAS), _OUT_CFG, _cfg_between),
    OldNode("ADE_CustomCFGKeyframeFromList", "Custom CFG Keyframes From List", (
        socket("cfgs_float", "FLOAT,FLOATS", needed=True, linked=False), real("start_percent", 0.0), real("end_percent", 1.0),
        flag("print_keyframes"), _BEFORE, _EXTRAS), _OUT_CFG, _cfg_list),
    OldNode("ADE_CFGExtrasPAGSimple", "CFG Extras: PAG", (real("scale", 3.0), _PREVIOUS_EXTRAS), _OUT_EXTRAS, _some_extras),
    OldNode("ADE_CFGExtrasPAG", "CFG Extras: PAG [Multival]", (socket("scale_multival", "MULTIVAL"), _PREVIOUS_EXTRAS),
            _OUT_EXTRAS, _some_extras),
    OldNode("ADE_CFGExtrasRescaleCFGSimple", "CFG Extras: RescaleCFG", (real("multiplier", 0.7), _PREVIOUS_EXTRAS),
            _OUT_EXTRAS, _some_extras),
    OldNode("ADE_CFGExtrasRescaleCFG", "CFG Extras: RescaleCFG [Multival]", (socket("mult_multival", "MULTIVAL"), _PREVIOUS_EXTRAS),
            _OUT_EXTRAS, _some_extras),
    OldNode("ADE_IterationOptsFreeInit", "FreeInit Iteration Options", (
        integer("iterations", 2), one_of("filter", tuple(FREEINIT_FILTERS)), real("d_s", 0.25), real("d_t", 0.25), integer("n_butterworth", 4),
        integer("sigma_step", 999), flag("apply_to_1st_iter"),
        one_of("init_type", ("FreeInit [sampler sigma]", "FreeInit [model sigma]", "DinkInit_v1")), integer("iter_batch_offset"),
        integer("iter_seed_offset", 1)), (("ITERATION_OPTS", "ITERATION_OPTS"),), _free_init),
    OldNode("ADE_IterationOptsDefault", "Default Iteration Options", (
        integer("iterations", 1), integer("iter_batch_offset"), integer("iter_seed_offset")), (("ITERATION_OPTS", "ITERATION_OPTS"),),
        _iterations),
    OldNode("ADE_SigmaSchedule", "Create Sigma Schedule", (one_of("beta_schedule", BETA_NAMES, "sqrt_linear (AnimateDiff)"),),
            _OUT_SIGMA, _betas),
    OldNode("ADE_RawSigmaSchedule", "Create Raw Sigma Schedule", (
        one_of("raw_beta_schedule", tuple(RAW_BETAS)), real("linear_start", 0.00085), real("linear_end", 0.012),
        one_of("sampling", ("eps", "v_prediction", "lcm")), integer("lcm_original_timesteps", 50), flag("zsnr")), _OUT_SIGMA, _raw_betas),
    OldNode("ADE_SigmaScheduleWeightedAverage", "Sigma Schedule Weighted Mean", (*_TWO, real("weight_A", 0.5)), _OUT_SIGMA, _one_of_two),
    OldNode("ADE_SigmaScheduleWeightedAverageInterp", "Sigma Schedule Interp. Mean", (
        *_TWO, real("weight_A_Start", 0.5), real("weight_A_End", 0.5), _INTERPOLATION), _OUT_SIGMA, _one_of_two),
    OldNode("ADE_SigmaScheduleSplitAndCombine", "Sigma Schedule Split Combine", (
        socket("schedule_Start", "SIGMA_SCHEDULE"), socket("schedule_End", "SIGMA_SCHEDULE"), real("idx_split_percent", 0.5)), _OUT_SIGMA,
        _one_of_two),
    OldNode("ADE_SigmaScheduleToSigmas", "Sigma Schedule To Sigmas", (
        socket("sigma_schedule", "SIGMA_SCHEDULE"), one_of("scheduler", SCHEDULERS, "normal"), integer("steps", 20), real("denoise")),
        (("SIGMAS", "SIGMAS"),), _no_sigmas),
    OldNode("ADE_NoiseLayerAdd", "Noise Layer [Add]", _LAYER[:5] + _LAYER[6:], _OUT_LAYER, _not_done),
    OldNode("ADE_NoiseLayerAddWeighted", "Noise Layer [Add Weighted]", _LAYER, _OUT_LAYER, _not_done),
    OldNode("ADE_NoiseLayerNormalizedSum", "Noise Layer [Normalized Sum]", _LAYER[:5] + _LAYER[6:], _OUT_LAYER, _not_done),
    OldNode("ADE_NoiseLayerReplace", "Noise Layer [Replace]", _LAYER[:4] + _LAYER[6:], _OUT_LAYER, _not_done),
    OldNode("ADE_AncestralOptions", "Ancestral Options", (
        one_of("noise_type", ("default", "constant")), integer("seed_offset"), _SEED), (("ANCESTRAL_OPTS", "ANCESTRAL_OPTS"),), _not_done),
    OldNode("ADE_NoisedImageInjection", "Image Injection", (
        socket("image", "IMAGE"), socket("vae", "VAE"), socket("mask_opt", "MASK"), flag("invert_mask"), flag("resize_image", True),
        real("start_percent", 0.0), integer("guarantee_steps", 1), socket("img_inject_opts", "IMAGE_INJECT_OPTIONS"),
        socket("strength_multival", "MULTIVAL"), socket("prev_image_inject", "IMAGE_INJECT")),
        (("IMAGE_INJECT", "IMAGE_INJECT"),), _not_done),
    OldNode("ADE_NoisedImageInjectOptions", "Image Injection Options", (integer("composite_x"), integer("composite_y")),
            (("IMG_INJECT_OPTS", "IMAGE_INJECT_OPTIONS"),), _not_done),
)  # fmt: skip
