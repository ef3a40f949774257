"""Advanced-ControlNet: its loaders, what SparseCtrl takes, and images of a folder."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from ....sampling.controls.placement import BETWEEN, FROM_START, IN_TURN, SPREAD, TO_END
from ...files import CONTROLS, images_in
from ..rows import (
    Field,
    Given,
    Link,
    NewGraph,
    OldNode,
    file_in,
    flag,
    integer,
    one_of,
    output_of,
    real,
    socket,
    written,
)
from .strengths import Extras, TimestepKey, inputs_of, say_of_weights, stages

SPREADS = {"uniform": SPREAD, "starting": FROM_START, "ending": TO_END, "center": BETWEEN}
"""Spread methods there, and placements of Set SparseCtrl Frames."""
CONTROL_TYPES = {
    "openpose": "openpose", "depth": "depth", "hed/pidi/scribble/ted": "hed/pidi/scribble/ted",
    "canny/lineart/mlsd": "canny/lineart/anime_lineart/mlsd", "normal": "normal", "segment": "segment", "tile": "tile",
    "inpaint/outpaint": "repaint", "none": "auto",
}  # fmt: skip
"""Types of ControlNet++ there and in Set Union ControlNet Type."""
AT_ONCE = 50
"""Inputs of the host's Batch Images."""


class SparseMethod(NamedTuple):
    """What travels on SPARSE_METHOD."""

    placement: str = SPREAD
    frames: str = "0"


class UnionInput(NamedTuple):
    """An item of what travels on PLUS_INPUT: an image and its type of control."""

    image: Link
    kind: str


# --- ControlNets -----------------------------------------------------------------------------------------------------


def _control(given: Given, graph: NewGraph) -> Link:
    return _with_keyframes(graph, graph.node("ControlNetLoader", control_net_name=_file_of(given, graph)), given["timestep_keyframe"])


def _difference(given: Given, graph: NewGraph) -> Link:
    control = graph.node("DiffControlNetLoader", model=given["model"], control_net_name=_file_of(given, graph))
    return _with_keyframes(graph, control, given["timestep_keyframe"])


def _file_of(given: Given, graph: NewGraph) -> str:
    """The file of a loader, whose field has another name since 2024."""
    return graph.file(CONTROLS, next(given[field.name] for field in given.row.fields if field.folder))


def _with_keyframes(graph: NewGraph, control: Link, keys: tuple[TimestepKey, ...] | None, *, sparse: bool = False) -> Link:
    """A control that carries keyframes, as far as one curve says what they do."""
    found = stages(keys)
    for stage in found:
        say_of_weights(graph, stage.weights, sparse=sparse)
        if stage.weights and stage.weights.negative != 1.0:
            graph.say(f"{stage.weights.title}: uncond_multiplier has an effect here only where the weights go to Apply Advanced ControlNet.")
    if any((one.latents, one.mask) != (other.latents, other.mask) for one, other in pairwise(found)):
        graph.say(
            "Timestep Keyframes with several latent keyframes or masks follow each other here only where they are connected to Apply "
            "Advanced ControlNet; on a loader, the last ones hold from the beginning."
        )
    whole = found[-1]._replace(strengths=tuple(strength for stage in found for strength in stage.strengths))
    inputs = inputs_of(graph, whole)
    return graph.node("SetControlCurve", control_net=control, **inputs) if inputs else control


def _union(given: Given, graph: NewGraph) -> Link:
    return _union_of(graph, given["name"], given.choice("control_type", CONTROL_TYPES))


def _union_of(graph: NewGraph, name: Any, kind: str) -> Link:
    control = graph.node("ControlNetLoader", control_net_name=graph.file(CONTROLS, name))
    return graph.node("SetUnionControlNetType", control_net=control, type=kind)


def _union_input(given: Given, graph: NewGraph) -> tuple[UnionInput, ...]:
    return (*(given["prev_plus_input"] or ()), UnionInput(given["image"], given.choice("control_type", CONTROL_TYPES)))


def _union_with_input(given: Given, graph: NewGraph) -> tuple[Link, Link]:
    first, *more = given["plus_input"]
    if more:
        raise ValueError(
            f"{given.row.title} takes one image here, got {len(more) + 1}. Load the ControlNet once per image with Load ControlNet Model, Set "
            "Union ControlNet Type and Apply ControlNet, one after another."
        )
    return _union_of(graph, given["name"], first.kind), first.image


def _no_equal(given: Given, graph: NewGraph) -> None:
    raise ValueError(
        f"{given.row.title} has no equal here. Mute it and the nodes that use it, or install Advanced-ControlNet in place of the hidden nodes."
    )


# --- SparseCtrl ------------------------------------------------------------------------------------------------------


def _sparse(given: Given, graph: NewGraph) -> Link:
    keys: tuple[TimestepKey, ...] = given["tk_optional"] or ()
    method = given["sparse_method"] or SparseMethod()
    if isinstance(method, str):  # from old nodes of Steerable-Motion
        method = SparseMethod(IN_TURN, method)
    extras = next((key.weights.extras for key in reversed(keys) if key.weights), Extras())
    control = graph.node(
        "SparseCtrlFrames",
        control_net=graph.node("LoadSparseCtrl", control_net=graph.file(CONTROLS, given["sparsectrl_name"])),
        placement=method.placement,
        frames=method.frames,
        motion_strength=given["motion_strength"] if given["use_motion"] else 0.0,
        unhinted_strength=given["sparse_nonhint_mult"] * extras.unhinted,
        nearest=given["context_aware"] not in ("off", False),
        hinted_strength=given["sparse_hint_mult"] * extras.hinted,
        presence=given["sparse_mask_mult"] * extras.presence,
        attention_scale=given["motion_scale"],
        resize="nearest-exact",
    )
    return _with_keyframes(graph, control, keys, sparse=True)


def _spread(given: Given, graph: NewGraph) -> SparseMethod:
    return SparseMethod(given.choice("spread", SPREADS))


def _indexes(given: Given, graph: NewGraph) -> SparseMethod:
    return SparseMethod(IN_TURN, str(given["indexes"]))


def _images_for_sparse(given: Given, graph: NewGraph) -> Link:
    return graph.node("SparseCtrlImages", images=given["image"], vae=given["vae"])


# --- images ----------------------------------------------------------------------------------------------------------


def _folder(given: Given, graph: NewGraph) -> tuple[Link, Link, int]:
    directory, most = str(given["directory"]), int(given["image_load_cap"])
    names = [name for name in (images_in(directory) or ())[int(given["start_index"]) :] if name]
    names = names[:most] if most > 0 else names
    if not names:
        raise ValueError(
            f"{given.row.title} needs a folder with images inside ComfyUI's input folder, got {directory or 'no name'}. Copy the folder there and "
            "write its name, or load a video with Load Video."
        )
    loaded = [graph.node("LoadImage", image=name) for name in names]
    masks = [output_of(image, 1) for image in loaded]
    return _batched(graph, loaded, "BatchImagesNode", "images.image"), _batched(graph, masks, "BatchMasksNode", "masks.mask"), len(loaded)


def _batched(graph: NewGraph, parts: list[Link], kind: str, name: str) -> Link:
    while len(parts) > 1:
        groups = [parts[i : i + AT_ONCE] for i in range(0, len(parts), AT_ONCE)]
        parts = [graph.node(kind, **{f"{name}{i}": part for i, part in enumerate(group)}) for group in groups]
    return parts[0]


_OUT = (("CONTROL_NET", "CONTROL_NET"),)
_NAME, _NEW_NAME = file_in("control_net_name", CONTROLS, "cnet"), file_in("cnet", CONTROLS, "control_net_name")
_KEYS = socket("timestep_keyframe", "TIMESTEP_KEYFRAME", "tk_optional", "timestep_kf", "_tk_opt")
_TK = socket("tk_optional", "TIMESTEP_KEYFRAME")
_MODEL = socket("model", "MODEL", needed=True)
_MOTION = (flag("use_motion", True), real("motion_strength"), real("motion_scale"), socket("sparse_method", "SPARSE_METHOD"), _TK)
_IMAGE = socket("image", "IMAGE", needed=True)
_FOR_LATENTS = (_IMAGE, socket("vae", "VAE", needed=True), socket("latent_size", "LATENT"))
_TYPE = one_of("control_type", tuple(CONTROL_TYPES))


def _missing(id_: str, title: str, *fields: Field, kind: str = "CONTROL_NET", name: str = "") -> OldNode:
    return OldNode(id_, title, fields, ((name or kind, kind),), _no_equal)


NODES = (
    OldNode("ControlNetLoaderAdvanced", "Load Advanced ControlNet Model", (_NAME, _KEYS), _OUT, _control),
    OldNode("ACN_ControlNetLoaderAdvanced", "Load Advanced ControlNet Model (new)", (_NEW_NAME, _KEYS), _OUT, _control),
    OldNode("DiffControlNetLoaderAdvanced", "Load Advanced ControlNet Model (diff)", (_MODEL, _NAME, _KEYS), _OUT, _difference),
    OldNode("ACN_DiffControlNetLoaderAdvanced", "Load Advanced ControlNet Model (diff, new)", (_MODEL, _NEW_NAME, _KEYS), _OUT, _difference),
    OldNode("ACN_SparseCtrlLoaderAdvanced", "Load SparseCtrl Model", (
        file_in("sparsectrl_name", CONTROLS), *_MOTION, one_of("context_aware", ("nearest_hint", "off")), real("sparse_hint_mult"),
        real("sparse_nonhint_mult"), real("sparse_mask_mult", 1.0, "sparse_mask_strength")), _OUT, _sparse),
    OldNode("ACN_SparseCtrlRGBPreprocessor", "RGB SparseCtrl", _FOR_LATENTS, (("proc_IMAGE", "IMAGE"),), _images_for_sparse),
    OldNode("ACN_SparseCtrlSpreadMethodNode", "SparseCtrl Spread Method", (one_of("spread", tuple(SPREADS)),),
            (("SPARSE_METHOD", "SPARSE_METHOD"),), _spread),
    OldNode("ACN_SparseCtrlIndexMethodNode", "SparseCtrl Index Method", (written("indexes", "0"),), (("SPARSE_METHOD", "SPARSE_METHOD"),), _indexes),
    OldNode("ACN_ControlNet++LoaderSingle", "Load ControlNet++ Model (Single)", (
        file_in("name", CONTROLS), one_of("control_type", tuple(CONTROL_TYPES), "none")), _OUT, _union),
    OldNode("ACN_ControlNet++LoaderAdvanced", "Load ControlNet++ Model (Multi)", (
        socket("plus_input", "PLUS_INPUT", needed=True), file_in("name", CONTROLS)), (*_OUT, ("IMAGE", "IMAGE")), _union_with_input),
    OldNode("ACN_ControlNet++InputNode", "ControlNet++ Input", (_IMAGE, _TYPE, socket("prev_plus_input", "PLUS_INPUT")),
            (("PLUS_INPUT", "PLUS_INPUT"),), _union_input),
    _missing("ACN_SparseCtrlMergedLoaderAdvanced", "Load Merged SparseCtrl Model", file_in("sparsectrl_name", CONTROLS), _NAME, *_MOTION),
    _missing("ACN_CtrLoRALoader", "Load CtrLoRA Model", file_in("base", CONTROLS), file_in("lora", CONTROLS)),
    _missing("ACN_AnimaLLLiteLoaderAdvanced", "Load Anima LLLite Model", written("model_patch"), socket("timestep_kf", "TIMESTEP_KEYFRAME")),
    _missing("ACN_ReferenceControlNet", "Reference ControlNet", one_of("reference_type", (
        "reference_attn", "reference_adain", "reference_attn+adain")), real("style_fidelity", 0.5), real("ref_weight")),
    _missing("ACN_ReferenceControlNetFinetune", "Reference ControlNet (Finetune)", *(
        real(f"{part}_{name}", value) for part in ("attn", "adain")
        for name, value in (("style_fidelity", 0.5), ("ref_weight", 1.0), ("strength", 1.0)))),
    _missing("ACN_ReferencePreprocessor", "Reference Preprocessor", *_FOR_LATENTS, kind="IMAGE", name="proc_IMAGE"),
)  # fmt: skip
IMAGES = (
    OldNode("LoadImagesFromDirectory", "Load Images (of a folder)", (
        written("directory"), integer("image_load_cap"), integer("start_index")), (("IMAGE", "IMAGE"), ("MASK", "MASK"), ("INT", "INT")), _folder),
)
