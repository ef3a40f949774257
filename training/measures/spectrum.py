"""Shift by phase correlation, zoom and roll by correlating log-polar spectra (Fourier-Mellin), in parts of a pixel.

Source: Kuglin and Hines 1975, The phase correlation image alignment method; Reddy and Chatterji 1996, An FFT-based technique
for translation, rotation, and scale-invariant image registration.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from .similarity import met, then

_ROUNDS = 4
"""How often a move is taken out and what is left measured: the window that hides the edges pulls a first result towards 0."""
_FINE, _REACH = 16, 1.5
"""Points per pixel around the highest whole one, and how many pixels they go to each side."""
_HIGHEST = 0.2
"""Frequencies above this, in cycles a pixel, hold more noise than picture and fade out."""
_ANGLES, _RADII = 256, 128
"""Size of a log-polar spectrum: half a turn, and ``_SPAN`` in radius."""
_SPAN = (0.03, 0.40)
"""Its lowest and highest frequency, in cycles a pixel."""
_PADDED = 2
"""How much finer than its own the spectrum of a picture is sampled."""


def _window(height: int, width: int) -> Tensor:
    """Hides the edges: 1 in the middle, 0 at the edge."""
    y, x = (torch.hann_window(size + 2, periodic=False)[1:-1] for size in (height, width))
    return y[:, None] * x


def _without_edges(pictures: Tensor) -> Tensor:
    """Pictures ``(N, H, W)`` whose mean is 0 and that fade out towards the edge."""
    window = _window(*pictures.shape[-2:])
    mean = (pictures * window).sum(dim=(1, 2), keepdim=True) / window.sum()
    return (pictures - mean) * window


def _cross_power(first: Tensor, second: Tensor) -> Tensor:
    """What is left of two spectra when only phases count, faint frequencies less: ``(N, H, W)``, complex."""
    product = torch.fft.fft2(first).conj() * torch.fft.fft2(second)
    height, width = first.shape[-2:]
    frequency = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)[None])
    strength = product.abs()
    floor = 0.02 * strength.mean(dim=(1, 2), keepdim=True) + 1e-12
    return product / (strength + floor) * torch.exp(-((frequency / _HIGHEST) ** 2) * 2)


def _peak(power: Tensor) -> Tensor:
    """Where the correlation is highest, and how high, 0 to 1: ``(N, 3)`` of x, y, height."""
    height, width = power.shape[-2:]
    total = power.abs().sum(dim=(1, 2)).clamp_min(1e-12)
    whole = torch.fft.ifft2(power).real.flatten(1).argmax(dim=1)
    y, x = (whole // width + height // 2) % height - height // 2, (whole % width + width // 2) % width - width // 2
    offsets = torch.arange(-round(_REACH * _FINE), round(_REACH * _FINE) + 1) / _FINE
    near_y, near_x = y[:, None] + offsets, x[:, None] + offsets
    wave_y = torch.exp(2j * math.pi * near_y[..., None] * torch.fft.fftfreq(height))
    wave_x = torch.exp(2j * math.pi * near_x[..., None] * torch.fft.fftfreq(width))
    near = torch.einsum("nah,nhw,nbw->nab", wave_y, power, wave_x).real / total[:, None, None]
    best = near.flatten(1).argmax(dim=1)
    row, column = best // len(offsets), best % len(offsets)
    index = torch.arange(len(near))
    top_y = _between(near[index, :, column], row)
    top_x = _between(near[index, row], column)
    return torch.stack((x + top_x, y + top_y, near[index, row, column].clamp(0, 1)), dim=1)


def _between(line: Tensor, best: Tensor) -> Tensor:
    """The top of a parabola through the best point of lines ``(N, P)`` and its neighbours, in pixels from the whole one."""
    inner = best.clamp(1, line.shape[1] - 2)
    left, middle, right = (line.gather(1, (inner + step)[:, None])[:, 0] for step in (-1, 0, 1))
    curve = left - 2 * middle + right
    shift = torch.where(curve < 0, (left - right) / (2 * curve.clamp_max(-1e-12)), torch.zeros_like(curve)).clamp(-1, 1)
    return (inner + shift) / _FINE - round(_REACH * _FINE) / _FINE


def phase_shift(first: Tensor, second: Tensor) -> Tensor:
    """How far the content of pictures moved, by phase correlation.

    Args:
        first, second: brightness ``(N, H, W)``, pair by pair.

    Returns:
        ``(N, 3)``: x to the right and y downwards in pixels, and the height of the peak: 1 for pictures that only moved,
        near 0 for pictures that have nothing in common.
    """
    found, height = torch.zeros(len(first), 4), torch.zeros(len(first), 1)
    for _ in range(_ROUNDS):
        before, after = (_without_edges(pictures) for pictures in met(first, second, found))
        peak = _peak(_cross_power(before, after))
        found, height = found + functional.pad(peak[:, :2], (0, 2)), peak[:, 2:]
    return torch.cat((found[:, :2], height), dim=1)


def _log_polar(pictures: Tensor) -> Tensor:
    """Spectra ``(N, _ANGLES, _RADII)``, by angle over half a turn and by the logarithm of frequency."""
    pictures = _without_edges(pictures)
    height, width = pictures.shape[-2:]
    size = _PADDED * max(height, width)
    spectrum = torch.fft.fftshift(torch.fft.fft2(pictures, s=(size, size)).abs(), dim=(1, 2))
    spectrum = torch.log1p(spectrum / spectrum.mean(dim=(1, 2), keepdim=True))
    angle = torch.arange(_ANGLES) * (math.pi / _ANGLES)
    low, high = (math.log(limit) for limit in _SPAN)
    radius = torch.exp(low + (high - low) * torch.arange(_RADII) / _RADII) * size
    points = torch.stack((radius * angle.cos()[:, None], radius * angle.sin()[:, None]), dim=-1) + 0.5  # the zero frequency is size / 2
    grid = (points / (size / 2)).expand(len(pictures), -1, -1, -1)
    polar = functional.grid_sample(spectrum[:, None], grid, mode="bilinear", align_corners=False)[:, 0]
    fade = torch.hann_window(_RADII + 2, periodic=False)[1:-1]
    return (polar - polar.mean(dim=1, keepdim=True)) * fade


def spectral_turn(first: Tensor, second: Tensor) -> Tensor:
    """How pictures ``(N, H, W)`` grew and turned, whatever their shift: ``(N, 3)`` of log zoom, roll in radians, peak height."""
    found, height = torch.zeros(len(first), 4), torch.zeros(len(first), 1)
    low, high = (math.log(limit) for limit in _SPAN)
    for _ in range(_ROUNDS):
        before, after = (_log_polar(pictures) for pictures in met(first, second, found))
        peak = _peak(_cross_power(before, after))
        zoom, roll = -peak[:, 0] * (high - low) / _RADII, peak[:, 1] * math.pi / _ANGLES
        found, height = found + functional.pad(torch.stack((zoom, roll), dim=1), (2, 0)), peak[:, 2:]
    return torch.cat((found[:, 2:], height), dim=1)


def spectral_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Zoom and roll by log-polar spectra, then the shift of what they leave: ``(N, 5)``, a similarity and the shift's peak."""
    turn = functional.pad(spectral_turn(first, second)[:, :2], (2, 0))
    shift = phase_shift(*met(first, second, turn))
    half = turn / 2
    similarity = then(then(half, functional.pad(shift[:, :2], (0, 2))), half)
    return torch.cat((similarity, shift[:, 2:]), dim=1)
