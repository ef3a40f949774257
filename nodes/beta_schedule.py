"""The node that sets a MODEL's noise schedule."""

from __future__ import annotations

from comfy_api.latest import io

from ..sampling.modules.load import OVERRIDES
from ..sampling.run.betas import PREDICTIONS, ScheduleChanges, with_beta_schedule
from .types import CATEGORY, choice, count, model_input, model_output, number


class ApplyBetaSchedule(io.ComfyNode):
    """MODEL -> MODEL with another noise schedule."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        schedule = "Noise schedule, by the authors' names. authors and legacy are those of the motion module on the MODEL."
        kept = "0 keeps that of the schedule."
        prediction = "What the MODEL predicts. auto is lcm for LCM schedules, and as the checkpoint was trained for the others."
        steps = "Training steps of an LCM schedule; 0 keeps those of the schedule, or 50."
        zsnr = "Rescales the noise levels to zero terminal signal-to-noise ratio."
        return io.Schema(
            node_id="ApplyBetaSchedule",
            display_name="Apply Beta Schedule",
            category=CATEGORY,
            description="Sets the noise schedule of a MODEL, animated or not, in place of the one it has.",
            search_aliases=["beta schedule", "sqrt_linear", "sigma schedule", "noise schedule", "lcm"],
            inputs=[
                model_input("A MODEL, with or without a motion module."),
                choice("beta_schedule", OVERRIDES["beta_schedule"], "authors", schedule),
                choice("prediction", PREDICTIONS, "auto", prediction, advanced=True),
                number("linear_start", 0.0, 0.0, 0.999, f"First beta. {kept}", step=0.000001, advanced=True),
                number("linear_end", 0.0, 0.0, 0.999, f"Last beta. {kept}", step=0.000001, advanced=True),
                count("lcm_steps", 0, 0, 1000, steps, unit="steps", advanced=True),
                io.Boolean.Input("zsnr", default=False, tooltip=zsnr, advanced=True),
            ],
            outputs=[model_output("MODEL with this noise schedule")],
        )

    @classmethod
    def execute(
        cls,
        model: io.Model.Type,
        beta_schedule: str,
        prediction: str = "auto",
        linear_start: float = 0.0,
        linear_end: float = 0.0,
        lcm_steps: int = 0,
        zsnr: bool = False,
    ) -> io.NodeOutput:
        changes = ScheduleChanges(prediction, linear_start, linear_end, lcm_steps, zsnr)
        return io.NodeOutput(with_beta_schedule(model, beta_schedule, changes))
