"""An IMAGE that carries its VAE, for SparseCtrl RGB through nodes that apply a control and take no VAE.

Made by ``nodes.sparse_control``, taken apart by ``sparse``.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..host.sample import VAE


class ImagesWithVAE(Tensor):
    """Images as on any IMAGE socket, and the VAE that encodes them.

    Apply ControlNet, that of Advanced-ControlNet too, brings the colours of an IMAGE in front with ``movedim`` and hands it to
    the control, so ``movedim`` keeps the VAE. Whatever else is done to them gives images without one.
    """

    vae: VAE | None = None

    def movedim(self, *args: Any, **kw: Any) -> ImagesWithVAE:  # pyright: ignore[reportIncompatibleMethodOverride]
        """See torch; the VAE comes along."""
        return images_with_vae(self.as_subclass(Tensor).movedim(*args, **kw), self.vae)


def images_with_vae(images: Tensor, vae: VAE | None) -> ImagesWithVAE:
    """The same images ``(N, H, W, C)`` with their VAE; they share memory."""
    carried = images.as_subclass(ImagesWithVAE)
    carried.vae = vae
    return carried


def images_and_vae(images: Any, vae: VAE | None) -> tuple[Any, VAE | None]:
    """Ordinary images, and their VAE: the one given, or else the one that they carry."""
    if not isinstance(images, ImagesWithVAE):
        return images, vae
    return images.as_subclass(Tensor), vae or images.vae
