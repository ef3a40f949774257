"""What a user chooses about a training; the same for all stages."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

OPTIMIZERS = ("AdamW", "Adam", "SGD", "RMSprop")
LOSSES = ("MSE", "L1", "Huber", "SmoothL1")
DTYPES = ("bf16", "fp16", "fp32", "none")
RATE_SCHEDULES = ("constant", "cosine")
FREE = ("steps", "gradient_checkpointing")
"""What may differ when a training goes on: none of it changes what a step does, except a cosine that ends elsewhere."""


@dataclass(frozen=True)
class TrainingSettings:
    """How a training runs. Every default is that of the paper's code where it has one.

    Attributes:
        steps: steps of the optimizer, in all.
        batch_size: clips per model run; as clips are evaluated one after another, memory is that of one.
        grad_accumulation_steps: a step has this many batches. Twice as many are the same as twice the batch size.
        learning_rate: after the warm-up.
        optimizer: what moves the weights, of ``OPTIMIZERS``.
        loss_function: how far what the model puts out is from what it should, of ``LOSSES``.
        seed: of clips, noise levels and noise, and of the weights at the start. Each step has random numbers of its own.
        training_dtype: what layers compute in, of ``DTYPES``; trained weights are always fp32. "none" is the MODEL's own.
        gradient_checkpointing: layers are computed twice, so that what they need for their gradients is not kept.
        warm_up: steps in which the learning rate rises from 0.
        schedule: of the learning rate, of ``RATE_SCHEDULES``.
        lowest_rate: share of the learning rate to which a cosine falls.
        weight_decay: of AdamW.
        gradient_limit: largest norm of all gradients together, 0 for no limit.
        noise_bias: 1.0 draws every noise level alike, larger ones more clips at high noise: ``u ** (1 / noise_bias)``.
        min_snr: signal-to-noise ratio above which a noise level counts no more, 0 for none (arXiv 2303.09556).
        debias: power of the noise-to-signal ratio by which levels with more noise than signal count more, 0 for none; 0.5 is
            debiased estimation (arXiv 2310.08442).
        average: how slowly the moving average of the weights follows, 0 for none. The average is what is returned.
        caption_dropout: share of clips shown without their caption, for CFG; needs the conditioning of an empty prompt.
        reversal: share of clips that a motion LoRA is shown backwards in time, at strength -1, so that a negative strength makes the
            opposite move. In the manner of Concept Sliders, Gandikota et al. 2023, arXiv 2311.12092. 0 for other stages.
    """

    steps: int = 1000
    batch_size: int = 1
    grad_accumulation_steps: int = 1
    learning_rate: float = 1e-4
    optimizer: str = "AdamW"
    loss_function: str = "MSE"
    seed: int = 0
    training_dtype: str = "bf16"
    gradient_checkpointing: bool = False
    warm_up: int = 0
    schedule: str = "constant"
    lowest_rate: float = 0.05
    weight_decay: float = 0.01
    gradient_limit: float = 1.0
    noise_bias: float = 1.0
    min_snr: float = 0.0
    debias: float = 0.0
    average: float = 0.0
    caption_dropout: float = 0.0
    reversal: float = 0.0

    def __post_init__(self) -> None:
        _one_of("optimizer", self.optimizer, OPTIMIZERS)
        _one_of("loss_function", self.loss_function, LOSSES)
        _one_of("training_dtype", self.training_dtype, DTYPES)
        _one_of("schedule", self.schedule, RATE_SCHEDULES)
        for name in ("steps", "batch_size", "grad_accumulation_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}. Raise it.")
        for name in ("warm_up", "weight_decay", "gradient_limit", "min_snr", "debias", "average"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name):g}. Raise it.")
        if self.average >= 1:
            raise ValueError(f"average must be less than 1, got {self.average:g}: nothing would be learnt. Lower it.")
        for name in ("caption_dropout", "reversal"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, got {getattr(self, name):g}. Set it to one.")
        if self.learning_rate <= 0 or self.noise_bias <= 0:
            raise ValueError(
                f"learning_rate and noise_bias must be more than 0, got {self.learning_rate} and {self.noise_bias}. Raise them."
            )

    @property
    def clips_per_step(self) -> int:
        """Clips whose gradients are added in one step, by one process."""
        return self.batch_size * self.grad_accumulation_steps

    def lasting(self) -> dict[str, Any]:
        """All that must be the same when a training goes on."""
        return {name: value for name, value in asdict(self).items() if name not in FREE}


def _one_of(name: str, got: str, known: tuple[str, ...]) -> None:
    if got not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {got!r}. Choose one of these.")
