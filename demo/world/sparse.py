"""The SparseCtrl RGB of the small world: a copy of the UNet's first half that sees a few frames of a clip, trained on the rest.

Source: Guo et al. 2023, SparseCtrl, arXiv 2311.16933, section 3: image model and motion module are frozen, the network sees zeros
in place of the noisy latents, its zero convolutions begin at zero, and which frames are given is drawn anew at each step. `train`
calls it.
"""

from __future__ import annotations

from typing import Any

import torch
from comfy import ops
from torch import Tensor, nn

from .networks import initialise
from .pack import pack
from .place import Place, finished
from .studio import Studio
from .video import Data, Plan, many_clips

pack()
from animatediff_native.motion.attention import sinusoidal_positions  # noqa: E402
from animatediff_native.motion.config import MotionConfig  # noqa: E402
from animatediff_native.motion.sparse_control import RGB, SparseConfig  # noqa: E402
from animatediff_native.sampling.controls.sparse_network import SparseControlNet  # noqa: E402
from animatediff_native.sampling.modules.load import load_motion_module  # noqa: E402
from animatediff_native.sampling.run.animate import animate  # noqa: E402
from animatediff_native.training.host.copies import private_copy, tensors_of, weights_of  # noqa: E402
from animatediff_native.training.host.guider import Clips, Evaluation, run_training  # noqa: E402
from animatediff_native.training.loop.draws import Draw  # noqa: E402
from animatediff_native.training.loop.problem import ClipProblem  # noqa: E402
from animatediff_native.training.loop.run import Conditions, Loop  # noqa: E402
from animatediff_native.training.loop.settings import TrainingSettings  # noqa: E402
from animatediff_native.training.loop.state import digest_of, fingerprint  # noqa: E402

CONFIG = SparseConfig(RGB, MotionConfig("v3", (64, 64, 64, 64), False, 1, 32), 64)
SEED = 91
SILENT = ("zero_convs.", "middle_block_out.")  # layers that begin at zero
CHOICES = ((0,), (0, -1), (0, 8, -1))
"""Frames that a user pins most often; as often, any one to three frames."""


class Given:
    """What the host asks for residuals in place of a control: a network that is trained, and the hint of one clip."""

    def __init__(self, network: SparseControlNet, hint: Tensor, sampling: Any) -> None:
        self.network, self.hint, self.sampling = network, hint, sampling

    def get_control(self, x: Tensor, t: Tensor, cond: Any, _: int, __: Any) -> dict[str, list[Tensor]]:
        """Called by the host at every model call, which here holds one clip and one prompt."""
        context = cond["c_crossattn"]
        return self.network(x, self.hint, self.sampling.timestep(t), context, frames=x.shape[0])


class SparseProblem(ClipProblem):
    """Clips of which some frames are given; see `training.loop.problem`."""

    def __init__(self, evaluation: Evaluation, network: SparseControlNet, settings: TrainingSettings) -> None:
        super().__init__(evaluation, settings, dict(network.named_parameters()))
        self.network, self.prompts = network, evaluation.prompts

    def loss(self, draw: Draw) -> Tensor:
        """The loss of the whole clip; its own frames at the drawn places are the hint."""
        latents = self.evaluation.latents[draw.clip]
        hint = torch.zeros(len(latents), latents.shape[1] + 1, *latents.shape[2:])
        for frame in _pinned(draw.random, len(latents)):
            hint[frame, :-1], hint[frame, -1] = latents[frame], 1.0
        control = Given(self.network, hint, self.evaluation.sampling)
        self.evaluation.prompts = [
            {draw.clip: [{**cond, "control": control} for cond in prompts[draw.clip]]} for prompts in self.prompts
        ]  # type: ignore[assignment]
        return super().loss(draw)


def _pinned(random: torch.Generator, frames: int) -> list[int]:
    if float(torch.rand((), generator=random)) < 0.5:
        choice = CHOICES[int(torch.randint(len(CHOICES), (), generator=random))]
        return [frame % frames for frame in choice]
    count = int(torch.randint(1, 4, (), generator=random))
    return torch.randperm(frames, generator=random)[:count].tolist()


def fresh(unet: dict[str, Tensor]) -> SparseControlNet:
    """The untrained network: the UNet's weights where it has the same layers, zero where it begins silent."""
    network = SparseControlNet(CONFIG, ops.disable_weight_init, device="cpu", dtype=torch.float32)
    initialise(network)
    own = dict(network.named_parameters())
    with torch.no_grad():
        for name, parameter in own.items():
            if name in unet and unet[name].shape == parameter.shape:
                parameter.copy_(unet[name])
            elif name.startswith(SILENT) or (name.startswith("motion.") and ".proj_out." in name):
                nn.init.zeros_(parameter)
        for name, table in network.named_buffers():
            if name.endswith(".pe"):
                table.copy_(sinusoidal_positions(table.shape[1], table.shape[2]))
    return network


def train(studio: Studio, place: Place, plan: Plan) -> None:
    """Train to the end, or go on where an earlier run stopped, and write the file."""
    data: Data = many_clips(studio, place, "plain_clips", plan.clips, stamp=False)
    motion, settings = load_motion_module(plan.file("motion_module")), place.share(plan.sparse)
    model = private_copy(animate(studio.model, motion))
    unet = {key.removeprefix("diffusion_model."): value for key, value in weights_of(studio.model).items()}
    with torch.inference_mode(False):
        network = fresh(unet)
        clips = Clips(data.latents, data.positive, studio.prompt(""))
        given = {"models": digest_of(tensors_of(model))}
        run, marks = place.run(studio, "sparse"), fingerprint(settings, data.latents, "sparse control", place.processes.count, given)
        conditions = Conditions(settings, run.watch, run.keeping, marks, run.processes)
        loops: list[Loop] = []

        def inside(evaluation: Evaluation) -> None:
            loops.append(Loop(SparseProblem(evaluation, network, settings), conditions))
            loops[0].run()

        run_training(model, clips, settings.gradient_checkpointing, inside)
    finished("sparse control", loops[0].step, settings)
    tensors = {**loops[0].weights, **{key: table for key, table in network.named_buffers() if key.endswith(".pe")}}
    named = {key.removeprefix("motion."): tensor for key, tensor in tensors.items()}
    place.export(named, "sparse_control_rgb", plan.weights)
