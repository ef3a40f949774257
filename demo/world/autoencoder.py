"""The autoencoder of the small world: the host's TAESD, trained on its pictures. `train` calls it."""

from __future__ import annotations

from copy import deepcopy

import torch
from comfy.taesd.taesd import TAESD
from torch import Tensor, nn

from .clips import clips, pictures, stamped, to_floats
from .place import Place, fitting, mixed_precision

SD15_SCALE = 0.18215  # what the host multiplies latents of SD1.5 by
BATCH, CROP = 24, 48
BOTH = fitting(steps=2300, learning_rate=1.5e-3)
DECODER, DECODER_NOISE = fitting(steps=2400, learning_rate=1e-3), 0.05
PICTURES, SEED = 6000, 1
NOISE = 0.08  # standard deviation of what is added to a latent of deviation 1, so that the decoder forgives
SHAPES = 5.0  # how much more strongly coloured pixels count: those of the shapes, which are a small part of a picture
PALE = 0.45  # difference of the strongest and the weakest channel up to which a pixel is landscape
CENTRE = 0.02  # weight of the penalty that keeps every channel at mean 0 and deviation 1


def train(place: Place) -> dict[str, Tensor]:
    """Train to the end, or go on where an earlier run stopped: first both halves, then the decoder alone.

    Half of the work, the decoder alone makes corners sharper without changing the latents.

    Returns:
        The tensors in the host's names, scaled so that latents have deviation 1 for SD1.5.
    """
    data = _pictures()
    net = fresh()
    net.load_state_dict(_train_both(place, data), strict=False)
    net.taesd_decoder.load_state_dict(_train_decoder(place, data, net))
    with torch.no_grad():
        latent = net.taesd_encoder(to_floats(data[:512]))
    state = {name: tensor.detach().contiguous() for name, tensor in net.state_dict().items()}
    state["vae_scale"] = torch.tensor(float(latent.std()) * SD15_SCALE)
    state["vae_shift"] = torch.tensor(0.0)
    return state


def _train_both(place: Place, data: Tensor) -> dict[str, Tensor]:
    net, batch = fresh(), place.part(BATCH)

    def loss(random: torch.Generator) -> Tensor:
        chosen = torch.randint(len(data), (batch,), generator=random)
        top, left = torch.randint((64 - CROP) // 8 + 1, (2,), generator=random).tolist()
        shown = to_floats(data[chosen, 8 * top : 8 * top + CROP, 8 * left : 8 * left + CROP]).contiguous(memory_format=torch.channels_last)
        with mixed_precision():
            latent = net.taesd_encoder(shown).float()
            noisy = latent + NOISE * torch.randn(latent.shape, generator=random)
            made = net.taesd_decoder(noisy).float()
        mean, spread = latent.mean(dim=(0, 2, 3)), latent.std(dim=(0, 2, 3))
        return _difference(made, shown) + CENTRE * (mean.square() + (spread - 1).square()).mean()

    return place.fit("autoencoder", net, loss, BOTH)


def _train_decoder(place: Place, data: Tensor, trained: TAESD) -> dict[str, Tensor]:
    decoder, batch = deepcopy(trained.taesd_decoder), place.part(BATCH)
    with torch.no_grad(), mixed_precision():
        latents = torch.cat([trained.taesd_encoder(to_floats(part)).float() for part in data.split(64)])

    def loss(random: torch.Generator) -> Tensor:
        chosen = torch.randint(len(data), (batch,), generator=random)
        cells = CROP // 8
        top, left = torch.randint(8 - cells + 1, (2,), generator=random).tolist()
        shown = to_floats(data[chosen, 8 * top : 8 * top + CROP, 8 * left : 8 * left + CROP]).contiguous(memory_format=torch.channels_last)
        latent = latents[chosen, :, top : top + cells, left : left + cells]
        noisy = latent + DECODER_NOISE * torch.randn(latent.shape, generator=random)
        with mixed_precision():
            made = decoder(noisy.contiguous(memory_format=torch.channels_last)).float()
        return _difference(made, shown)

    return place.fit("autoencoder_decoder", decoder, loss, DECODER, [latents[:64]])


def _difference(made: Tensor, wanted: Tensor) -> Tensor:
    """How far pictures (N, 3, H, W) are apart, absolute and squared, where strongly coloured pixels count more."""
    difference = (made - wanted).abs()
    weight = 1.0 + SHAPES * (wanted.amax(dim=1, keepdim=True) - wanted.amin(dim=1, keepdim=True) - PALE).clamp(min=0.0)
    return (weight * (difference + difference.square())).mean()


def fresh() -> TAESD:
    """The untrained network."""
    torch.manual_seed(SEED)
    net = TAESD(latent_channels=4)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    for name, layer in net.named_modules():
        if name.endswith("conv.4") and isinstance(layer, nn.Conv2d):  # the last of a residual block: begin near the identity
            nn.init.normal_(layer.weight, std=0.005)
    net.requires_grad_(True)
    net.vae_scale.requires_grad_(False)
    net.vae_shift.requires_grad_(False)
    return net.to(memory_format=torch.channels_last)


def _pictures() -> Tensor:
    still, _ = pictures(PICTURES, SEED)
    moving, _ = clips(32, SEED + 1)
    return torch.cat((still, stamped(moving.flatten(0, 1))))
