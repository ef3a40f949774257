"""Nodes that change the numbers of a motion module: its positional encodings and its weights."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..sampling.modules.adjust import with_positions, with_weights
from ..sampling.modules.changes import OPERATIONS, PositionChange, WeightChange
from ..sampling.modules.settings import settings_of
from .types import CATEGORY, MotionModuleSocket, choice, count, number, text


def _module_input() -> Any:
    return MotionModuleSocket.Input("motion_module", tooltip="The motion module to adjust. It is not changed.")


def _only_stored_input() -> io.Boolean.Input:
    tooltip = "Leaves positions alone that the file does not store, as AnimateLCM's, like AnimateDiff-Evolved."
    return io.Boolean.Input("only_stored", default=False, advanced=True, tooltip=tooltip)


def _output() -> Any:
    return MotionModuleSocket.Output("motion_module", tooltip="The adjusted motion module.")


def _positions(name: str, tooltip: str, *, advanced: bool = False) -> io.Int.Input:
    return count(name, 0, 0, 4096, tooltip, unit="frames", advanced=advanced)


class AdjustMotionPositions(io.ComfyNode):
    """ANIMATEDIFF_MODULE -> ANIMATEDIFF_MODULE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AdjustMotionPositions",
            display_name="Adjust Motion Positions",
            category=CATEGORY,
            description="Stretches the positions by which a motion module tells frames apart, so that a motion takes more frames.",
            search_aliases=["adjust pe", "sweetspot", "pe stretch", "positional encoding", "animatediff settings"],
            has_intermediate_output=True,
            inputs=[
                _module_input(),
                _positions("stretch_from", "How many of the first positions are stretched; the rest is dropped. 0 takes all."),
                _positions("stretch_to", "Over how many frames they are stretched; 0 does not stretch them."),
                _positions("stretch_by", "Before all else, stretches all positions by this many more.", advanced=True),
                _positions("skip_first", "Leaves out the first positions, before stretch_from.", advanced=True),
                _positions("skip_after", "Leaves out the first positions, after stretch_to.", advanced=True),
                _only_stored_input(),
            ],
            outputs=[_output()],
        )

    @classmethod
    def execute(
        cls,
        motion_module: Any,
        stretch_from: int,
        stretch_to: int,
        stretch_by: int = 0,
        skip_first: int = 0,
        skip_after: int = 0,
        only_stored: bool = False,
    ) -> io.NodeOutput:
        change = PositionChange(
            stretch_by=stretch_by,
            skip=skip_first,
            keep=stretch_from,
            stretch_to=stretch_to,
            skip_after=skip_after,
        )
        module = with_positions(motion_module, change, only_stored)
        return io.NodeOutput(module, ui=text("\n".join(settings_of(module).adjustments)))


def _amount(name: str, what: str, *, advanced: bool = False) -> io.Float.Input:
    return number(name, 0.0, -10.0, 10.0, f"For {what}. 0.0 changes nothing.", step=0.001, advanced=advanced)


class AdjustMotionWeights(io.ComfyNode):
    """ANIMATEDIFF_MODULE -> ANIMATEDIFF_MODULE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        operation = "multiply: weights are multiplied by 1 plus the amount, so that 0.01 is 1 % more. add: it is added to them."
        return io.Schema(
            node_id="AdjustMotionWeights",
            display_name="Adjust Motion Weights",
            category=CATEGORY,
            description="Makes groups of a motion module's weights larger or smaller. Motion LoRAs are not changed.",
            search_aliases=["adjust weight", "pe strength", "attn strength", "animatediff settings"],
            has_intermediate_output=True,
            inputs=[
                _module_input(),
                choice("operation", OPERATIONS, OPERATIONS[0], operation),
                _amount("all", "every weight, positions included"),
                _amount("positions", "the positional encodings, besides all"),
                _amount("attention", "weights and biases of the temporal attentions, besides all"),
                _amount("other", "norms, projections and feed forward, besides all"),
                _amount("query", "the attentions' query weights, besides attention", advanced=True),
                _amount("key", "the attentions' key weights, besides attention", advanced=True),
                _amount("value", "the attentions' value weights, besides attention", advanced=True),
                _amount("out_weight", "the weights of the attentions' output, besides attention", advanced=True),
                _amount("out_bias", "the biases of the attentions' output, besides attention", advanced=True),
                _only_stored_input(),
            ],
            outputs=[_output()],
        )

    @classmethod
    def execute(
        cls,
        motion_module: Any,
        operation: str,
        all: float,
        positions: float,
        attention: float,
        other: float,
        query: float = 0.0,
        key: float = 0.0,
        value: float = 0.0,
        out_weight: float = 0.0,
        out_bias: float = 0.0,
        only_stored: bool = False,
    ) -> io.NodeOutput:
        change = WeightChange(
            operation=operation,
            all=all,
            positions=positions,
            attention=attention,
            query=query,
            key=key,
            value=value,
            out_weight=out_weight,
            out_bias=out_bias,
            other=other,
        )
        module = with_weights(motion_module, change, only_stored)
        return io.NodeOutput(module, ui=text("\n".join(settings_of(module).adjustments)))
