"""What a training makes small: the distance between what the model predicted and what it should have."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

LossFunction = Callable[[Tensor, Tensor], Tensor]

_FUNCTIONS: dict[str, LossFunction] = {
    "MSE": functional.mse_loss,
    "L1": functional.l1_loss,
    "Huber": functional.huber_loss,
    "SmoothL1": functional.smooth_l1_loss,
}


def loss_function(name: str) -> LossFunction:
    """One of ``settings.LOSSES``."""
    return _FUNCTIONS[name]


def snr_weight(sigma: float, slope: float, most: float, debias: float = 0.0) -> float:
    """How much the loss at a noise level counts; 1 without a limit and without ``debias``.

    Source: Hang et al. 2023, min-SNR, arXiv 2303.09556, section 3.4: min(SNR, gamma) for the clip itself, with SNR = 1 / sigma^2. For what
    the model puts out that is times the square of ``slope``: min(SNR, gamma) / SNR for noise, / (SNR + 1) for velocity.
    With more noise than signal, times (1 / SNR) ** debias; 0.5 is debiased estimation, Yu et al. 2023, arXiv 2310.08442: what is decided
    there, where things are and how they move, hardly shows in the loss of the noise.
    """
    limited = min(1.0 / max(sigma, 1e-8) ** 2, most) * slope**2 if most > 0 else 1.0
    return limited * max(sigma, 1.0) ** (2 * debias)
