"""The three stages of training, what they may be given beside, and how their results are saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from comfy_api.latest import io, ui

from ..training.loop.on_node import Preview
from ..training.loop.settings import DTYPES, LOSSES, OPTIMIZERS, RATE_SCHEDULES, TrainingSettings
from ..training.loop.watch import Trained
from ..training.measures.plot import loss_picture
from ..training.stages.at_node import AUTO, NodeInputs, TrainingOptions, adapter_at_node, lora_at_node, module_at_node
from ..training.stages.save import SAVED_TYPES, save_motion_module, save_trained_lora
from .types import TRAINING, MotionModuleSocket, choice, conditioning_inputs, count, number, seed_input, share, text

LoraSocket = io.Custom("LORA_MODEL")
LossSocket = io.Custom("LOSS_MAP")
OptionsSocket = io.Custom("ANIMATEDIFF_TRAINING")
PreviewSocket = io.Custom("ANIMATEDIFF_TRAINING_PREVIEW")


def _dataset_inputs() -> list[Any]:
    latents = "The clips: one list item per clip, its frames as one batch. From a dataset node, or VAE Encode of the frames."
    positive = "The captions: one list item per clip, or one for all."
    return [
        io.Model.Input("model", tooltip="The image model, with its domain adapter if it has one. It is not changed."),
        io.Latent.Input("latents", tooltip=latents),
        io.Conditioning.Input("positive", tooltip=positive),
    ]


def _settings_inputs(steps: int, learning_rate: float) -> list[Any]:
    """Inputs of every stage, with the names that the host's own training node has for them."""
    accumulation = "Batches whose gradients are added before the weights change. The same as a larger batch."
    kind = "What layers compute in. Trained weights are always fp32. none is as the MODEL computes; fp32 is fastest on most CPUs."
    checkpointing = "Computes layers twice, so that far less memory is needed; takes about a third longer."
    state = (
        "A training that was interrupted goes on where it was. auto: if settings and clips are the same; a name: a file in "
        "output/training; empty: keeps nothing."
    )
    return [
        count("steps", steps, 1, 1000000, "How often the weights change.", unit="steps"),
        number("learning_rate", learning_rate, 1e-7, 1.0, "How far they change. Lower it when the loss jumps.", step=1e-7),
        count("batch_size", 1, 1, 1024, "Clips per batch. They run one after another, so that memory is that of one.", unit="clips"),
        count("grad_accumulation_steps", 1, 1, 1024, accumulation, unit="batches", advanced=True),
        choice("optimizer", OPTIMIZERS, "AdamW", "How gradients become changes.", advanced=True),
        choice("loss_function", LOSSES, "MSE", "How far a prediction is from what was added.", advanced=True),
        seed_input("seed", changes=False),
        choice("training_dtype", DTYPES, "bf16", kind, advanced=True),
        io.Boolean.Input("gradient_checkpointing", default=True, advanced=True, tooltip=checkpointing),
        io.String.Input("state_name", default=AUTO, advanced=True, tooltip=state),
        OptionsSocket.Input("options", optional=True, tooltip="From Motion Training Options."),
        PreviewSocket.Input("preview", optional=True, tooltip="From Motion Training Preview."),
    ]


def _rank(default: int) -> io.Int.Input:
    return count("rank", default, 1, 128, "Size of the LoRA: 2 learns a simple camera move, 128 a look.")


def _outputs(lora: str) -> list[Any]:
    return [
        LoraSocket.Output("lora", tooltip=lora),
        LossSocket.Output("loss_map", tooltip="The loss of each step, for Plot Loss Graph."),
        io.Int.Output("steps", tooltip="Steps done in all."),
    ]


def _told(trained: Trained) -> ui.PreviewImage:
    """The plot of the losses."""
    return ui.PreviewImage(loss_picture(trained.losses))


class TrainMotionLoRA(io.ComfyNode):
    """MODEL + ANIMATEDIFF_MODULE + clips -> LORA_MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        strengths = (
            "At which strength the LoRA is to make each clip: one list item per clip, or one for all; 1 without. From Camera Clips with a "
            "variation: a strength is then how far the camera goes."
        )
        return io.Schema(
            node_id="TrainMotionLoRA",
            display_name="Train Motion LoRA",
            category=TRAINING,
            description="Teaches a motion module a camera move, or another motion, from 20 to 50 clips.",
            search_aliases=["train motion lora", "motion lora training", "motiondirector", "camera move"],
            is_input_list=True,
            inputs=[
                *_dataset_inputs(),
                MotionModuleSocket.Input("motion_module", tooltip="The module that the LoRA is for. It is not changed."),
                _rank(64),
                *_settings_inputs(500, 5e-4),
                io.Float.Input("strengths", optional=True, force_input=True, tooltip=strengths),
            ],
            outputs=[
                *_outputs("The motion LoRA, for Save Trained LoRA."),
                MotionModuleSocket.Output("with_lora", tooltip="The module with the trained LoRA on it, for Apply Motion Module."),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: list[Any],
        latents: list[Any],
        positive: list[Any],
        motion_module: list[Any],
        rank: list[int],
        steps: list[int],
        learning_rate: list[float],
        batch_size: list[int],
        grad_accumulation_steps: list[int],
        optimizer: list[str],
        loss_function: list[str],
        seed: list[int],
        training_dtype: list[str],
        gradient_checkpointing: list[bool],
        state_name: list[str],
        options: list[TrainingOptions] | None = None,
        preview: list[Preview] | None = None,
        strengths: Sequence[float] = (),
    ) -> io.NodeOutput:
        chosen = _chosen(
            steps=steps, learning_rate=learning_rate, batch_size=batch_size, grad_accumulation_steps=grad_accumulation_steps,
            optimizer=optimizer, loss_function=loss_function, seed=seed, training_dtype=training_dtype,
            gradient_checkpointing=gradient_checkpointing,
        )  # fmt: skip
        inputs = NodeInputs(model, latents, positive, state_name[0], options, preview, chosen)
        module, trained = lora_at_node(inputs, motion_module[0], rank[0], strengths)
        return io.NodeOutput(trained.tensors, {"loss": trained.losses}, trained.steps, module, ui=_told(trained))


class TrainDomainAdapter(io.ComfyNode):
    """MODEL + clips -> LORA_MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        pictures = "Random frames of a clip that each batch entry has, as pictures of their own."
        return io.Schema(
            node_id="TrainDomainAdapter",
            display_name="Train Domain Adapter",
            category=TRAINING,
            description="Teaches the image model what the clips look like, from single frames, so that a module learns motion alone.",
            search_aliases=["v3_sd15_adapter", "train adapter", "domain adapter training"],
            is_input_list=True,
            inputs=[
                *_dataset_inputs(),
                _rank(128),
                *_settings_inputs(1000, 1e-4),
                count("pictures", 4, 1, 64, pictures, unit="frames", advanced=True, optional=True),
            ],
            outputs=_outputs("The domain adapter, for Save Trained LoRA, Save LoRA Weights or Load LoRA Model."),
        )

    @classmethod
    def execute(
        cls,
        model: list[Any],
        latents: list[Any],
        positive: list[Any],
        rank: list[int],
        steps: list[int],
        learning_rate: list[float],
        batch_size: list[int],
        grad_accumulation_steps: list[int],
        optimizer: list[str],
        loss_function: list[str],
        seed: list[int],
        training_dtype: list[str],
        gradient_checkpointing: list[bool],
        state_name: list[str],
        options: list[TrainingOptions] | None = None,
        preview: list[Preview] | None = None,
        pictures: list[int] | None = None,
    ) -> io.NodeOutput:
        chosen = _chosen(
            steps=steps, learning_rate=learning_rate, batch_size=batch_size, grad_accumulation_steps=grad_accumulation_steps,
            optimizer=optimizer, loss_function=loss_function, seed=seed, training_dtype=training_dtype,
            gradient_checkpointing=gradient_checkpointing,
        )  # fmt: skip
        inputs = NodeInputs(model, latents, positive, state_name[0], options, preview, chosen)
        trained = adapter_at_node(inputs, rank[0], (pictures or [4])[0])
        return io.NodeOutput(trained.tensors, {"loss": trained.losses}, trained.steps, ui=_told(trained))


class TrainMotionModule(io.ComfyNode):
    """MODEL + clips -> ANIMATEDIFF_MODULE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        module = "The module to go on from; it is not changed. Left open, a new one is made for the MODEL."
        mid = "For a new module: a temporal block in the UNet's middle, as v2 has. v3 has none."
        return io.Schema(
            node_id="TrainMotionModule",
            display_name="Train Motion Module",
            category=TRAINING,
            description="Trains all weights of a motion module on a frozen image model, from nothing or from a module.",
            search_aliases=["train animatediff", "finetune motion module", "motion module training"],
            is_input_list=True,
            inputs=[
                *_dataset_inputs(),
                MotionModuleSocket.Input("motion_module", optional=True, tooltip=module),
                *_settings_inputs(10000, 1e-4),
                io.Boolean.Input("has_mid", default=False, advanced=True, tooltip=mid),
                count("positions", 32, 2, 128, "For a new module: the most frames it takes at once.", unit="frames", advanced=True),
            ],
            outputs=[
                MotionModuleSocket.Output("motion_module", tooltip="The trained module, for Apply Motion Module or Save Motion Module."),
                *_outputs("")[1:],
            ],
        )

    @classmethod
    def execute(
        cls,
        model: list[Any],
        latents: list[Any],
        positive: list[Any],
        steps: list[int],
        learning_rate: list[float],
        batch_size: list[int],
        grad_accumulation_steps: list[int],
        optimizer: list[str],
        loss_function: list[str],
        seed: list[int],
        training_dtype: list[str],
        gradient_checkpointing: list[bool],
        state_name: list[str],
        has_mid: list[bool],
        positions: list[int],
        motion_module: list[Any] | None = None,
        options: list[TrainingOptions] | None = None,
        preview: list[Preview] | None = None,
    ) -> io.NodeOutput:
        chosen = _chosen(
            steps=steps, learning_rate=learning_rate, batch_size=batch_size, grad_accumulation_steps=grad_accumulation_steps,
            optimizer=optimizer, loss_function=loss_function, seed=seed, training_dtype=training_dtype,
            gradient_checkpointing=gradient_checkpointing,
        )  # fmt: skip
        inputs = NodeInputs(model, latents, positive, state_name[0], options, preview, chosen)
        module, trained = module_at_node(inputs, motion_module[0] if motion_module else None, has_mid[0], positions[0])
        return io.NodeOutput(module, {"loss": trained.losses}, trained.steps, ui=_told(trained))


def _chosen(**values: list[Any]) -> dict[str, Any]:
    """Settings from a node that takes lists: the first of each."""
    return {name: value[0] for name, value in values.items()}


class MotionTrainingOptions(io.ComfyNode):
    """Numbers -> ANIMATEDIFF_TRAINING."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        bias = "1.0 draws every noise level alike; 2.0 and more show more clips at high noise, where frames learn to agree."
        average = "Share of the average of the weights that is kept at each step; the average is the result. 0 is off, 0.999 usual."
        dropout = "Clips that are shown without their caption, so that CFG works. Needs an empty prompt."
        snr = "Signal-to-noise ratio above which a noise level counts no more (min-SNR). 0 is off, 5 is usual."
        debias = (
            "Power by which noise levels count more the more noise they have. 0 is off, 0.5 debiased estimation: how things move is learnt "
            "sooner."
        )
        backwards = (
            "For motion LoRAs: clips that are shown backwards, with the LoRA at strength -1, so that a negative strength makes the opposite "
            "move. 0.5 for camera moves."
        )
        norm = "Largest norm of all gradients together, 0 for no limit."
        return io.Schema(
            node_id="MotionTrainingOptions",
            display_name="Motion Training Options",
            category=TRAINING,
            description="Settings of a training that the training nodes do not have themselves.",
            search_aliases=["training options", "noise bias", "ema", "learning rate schedule"],
            inputs=[
                number("noise_bias", 1.0, 0.1, 10.0, bias),
                choice("schedule", RATE_SCHEDULES, "constant", "The learning rate: constant, or falling along a cosine."),
                count("warm_up", 0, 0, 100000, "In these the learning rate rises from 0.", unit="steps"),
                number("average", 0.0, 0.0, 0.99999, average, step=0.0001),
                share("caption_dropout", 0.0, dropout),
                io.Conditioning.Input("empty_prompt", optional=True, tooltip="The conditioning of an empty prompt."),
                number("min_snr", 0.0, 0.0, 100.0, snr, advanced=True),
                number("debias", 0.0, 0.0, 1.0, debias, advanced=True),
                number("gradient_limit", 1.0, 0.0, 1000.0, norm, advanced=True),
                number("weight_decay", 0.01, 0.0, 1.0, "Of AdamW.", step=0.001, advanced=True),
                share("reversal", 0.0, backwards, optional=True),
            ],
            outputs=[OptionsSocket.Output("options", tooltip="For a training node.")],
        )

    @classmethod
    def execute(
        cls,
        noise_bias: float,
        schedule: str,
        warm_up: int,
        average: float,
        caption_dropout: float,
        min_snr: float,
        debias: float,
        gradient_limit: float,
        weight_decay: float,
        reversal: float = 0.0,
        empty_prompt: Any = None,
    ) -> io.NodeOutput:
        settings = replace(
            TrainingSettings(), noise_bias=noise_bias, schedule=schedule, warm_up=warm_up, average=average,
            caption_dropout=caption_dropout, min_snr=min_snr, debias=debias, gradient_limit=gradient_limit, weight_decay=weight_decay,
            reversal=reversal,
        )  # fmt: skip
        return io.NodeOutput(TrainingOptions(settings, empty_prompt))


class MotionTrainingPreview(io.ComfyNode):
    """Prompts + VAE -> ANIMATEDIFF_TRAINING_PREVIEW."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MotionTrainingPreview",
            display_name="Motion Training Preview",
            category=TRAINING,
            description="Has a training node make an animation now and then, of the size of the first clip, and play it.",
            search_aliases=["validation", "training preview", "validation clip"],
            inputs=[
                count("every", 100, 1, 1000000, "How often an animation is made.", unit="steps"),
                *conditioning_inputs(),
                io.Vae.Input("vae", tooltip="Makes pictures of the latents."),
                count("sampling_steps", 20, 1, 1000, "Of each animation.", unit="steps"),
                number("cfg", 7.5, 0.0, 100.0, "Of each animation.", step=0.1),
                seed_input("seed", changes=False),
                number("frame_rate", 8.0, 0.1, 60.0, "How fast it plays.", unit="frames per second", advanced=True),
            ],
            outputs=[PreviewSocket.Output("preview", tooltip="For a training node.")],
        )

    @classmethod
    def execute(
        cls, every: int, positive: Any, negative: Any, vae: Any, sampling_steps: int, cfg: float, seed: int, frame_rate: float
    ) -> io.NodeOutput:
        return io.NodeOutput(Preview(every, positive, negative, vae, sampling_steps, cfg, seed, frame_rate))


class SaveTrainedLoRA(io.ComfyNode):
    """LORA_MODEL -> a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SaveTrainedLoRA",
            display_name="Save Trained LoRA",
            category=TRAINING,
            description="Saves a trained motion LoRA or domain adapter below the output folder, where the nodes that apply it find it.",
            search_aliases=["save motion lora", "save domain adapter"],
            is_output_node=True,
            inputs=[
                LoraSocket.Input("lora", tooltip="From Train Motion LoRA or Train Domain Adapter."),
                io.String.Input("filename_prefix", default="trained", tooltip="Beginning of the file's name."),
                choice("dtype", list(SAVED_TYPES), "fp16", "What the file holds; fp16 is half as large as fp32."),
            ],
            outputs=[],
        )

    @classmethod
    def execute(cls, lora: Any, filename_prefix: str, dtype: str) -> io.NodeOutput:
        return io.NodeOutput(ui=text(f"saved as {save_trained_lora(lora, filename_prefix, dtype).path}"))


class SaveMotionModule(io.ComfyNode):
    """ANIMATEDIFF_MODULE -> a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SaveMotionModule",
            display_name="Save Motion Module",
            category=TRAINING,
            description="Saves a motion module, with its motion LoRAs merged, below the output folder, where Load Motion Module finds it.",
            search_aliases=["save motion model", "merge motion lora"],
            is_output_node=True,
            inputs=[
                MotionModuleSocket.Input("motion_module", tooltip="From Train Motion Module, or any other."),
                io.String.Input("filename_prefix", default="trained", tooltip="Beginning of the file's name."),
                choice("dtype", list(SAVED_TYPES), "fp16", "What the file holds; fp16 is half as large as fp32."),
            ],
            outputs=[],
        )

    @classmethod
    def execute(cls, motion_module: Any, filename_prefix: str, dtype: str) -> io.NodeOutput:
        return io.NodeOutput(ui=text(f"saved as {save_motion_module(motion_module, filename_prefix, dtype).path}"))
