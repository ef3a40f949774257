"""The attention the user chose for the host, for the temporal blocks of motion modules and of SparseCtrl."""

from __future__ import annotations

from comfy.ldm.modules.attention import optimized_attention
from torch import Tensor

from ...motion.attention import Attention
from .wrappers import HostOptions


class _HostAttention:
    """The host's attention in the shape ``motion`` expects."""

    def __init__(self, transformer_options: HostOptions) -> None:
        self.transformer_options = transformer_options

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
        return optimized_attention(q, k, v, heads, skip_reshape=True, transformer_options=self.transformer_options)


def host_attention(transformer_options: HostOptions) -> Attention:
    """See ``motion.attention.Attention``."""
    return _HostAttention(transformer_options)
