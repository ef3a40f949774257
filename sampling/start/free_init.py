"""FreeInit: sample several times, each from the slow part of the last result and new noise for the rest.

Source: Wu et al. 2023, FreeInit, arXiv 2312.07537, section 4, equations 6 to 8, and the authors' released code. The loop over
the iterations is in ``run.around``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

FILTERS = ("butterworth", "gaussian", "ideal")


@dataclass(frozen=True)
class FreeInit:
    """What a user asks of FreeInit.

    Attributes:
        iterations: how often the animation is sampled; 1 is ordinary sampling.
        filter: one of ``FILTERS``.
        spatial, temporal: where the low-pass ends, as a share of the highest frequency.
        order: of the Butterworth filter.
    """

    iterations: int = 3
    filter: str = "butterworth"
    spatial: float = 0.25
    temporal: float = 0.25
    order: int = 4


def low_pass(shape: tuple[int, int, int], options: FreeInit) -> Tensor:
    """The filter over frequencies ``(F, H, W)``, zero frequency in the middle; 1 keeps, 0 drops."""
    if options.spatial == 0 or options.temporal == 0:
        return torch.zeros(shape)
    t, y, x = (2 * torch.arange(size) / size - 1 for size in shape)
    t = t * (options.spatial / options.temporal)
    square = t[:, None, None] ** 2 + y[:, None] ** 2 + x**2
    end = options.spatial**2
    if options.filter == "gaussian":
        return torch.exp(-square / (2 * end))
    if options.filter == "ideal":  # the authors' code, which their results were made with, ends at 2 d_s, not at d_s squared
        return (square <= 2 * options.spatial).float()
    return 1 / (1 + (square / end) ** options.order)


def reinitialized(noisy: Tensor, fresh: Tensor, filter_: Tensor) -> Tensor:
    """The slow part of ``noisy`` and the fast part of ``fresh``, both ``(F, C, H, W)``: equations 7 and 8."""
    axes = (0, 2, 3)
    keep = filter_.to(noisy)[:, None]
    slow, fast = (torch.fft.fftshift(torch.fft.fftn(x, dim=axes), dim=axes) for x in (noisy, fresh))
    return torch.fft.ifftn(torch.fft.ifftshift(slow * keep + fast * (1 - keep), dim=axes), dim=axes).real


def diffused(clean: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """Equation 6: latents diffused to ``sigma`` with the noise they came from, at unit variance: ``(F, C, H, W)``."""
    return (clean + sigma * noise) / (1 + sigma**2) ** 0.5
