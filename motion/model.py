"""All temporal blocks of one motion module file, addressed by UNet site.

Built by ``sampling.modules.load`` with the host's layers, by tests with torch's. Parameter names equal the file's keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from .config import MotionConfig
from .module import TemporalBlock

Site = tuple[str, int]
"""A block of the UNet: ``("input", 1)``, ``("middle", 0)``, ``("output", 11)``. Input block 0 is the first conv."""

DOWN_BLOCKS_PER_LEVEL = 2
UP_BLOCKS_PER_LEVEL = 3


def block_names(config: MotionConfig) -> Iterator[tuple[str, int]]:
    """Name and channels of every temporal block of a file."""
    for i, c in enumerate(config.down_channels):
        yield from ((f"down_blocks.{i}.motion_modules.{j}", c) for j in range(DOWN_BLOCKS_PER_LEVEL))
    if config.has_mid:
        yield "mid_block.motion_modules.0", config.down_channels[-1]
    for i, c in enumerate(config.up_channels):
        yield from ((f"up_blocks.{i}.motion_modules.{j}", c) for j in range(UP_BLOCKS_PER_LEVEL))


class Level(nn.Module):
    """The temporal blocks of one resolution."""

    def __init__(self, blocks: int, channels: int, config: MotionConfig, operations: Any, **kw: Any) -> None:
        super().__init__()
        self.motion_modules = nn.ModuleList(
            TemporalBlock(channels, config, operations, **kw) for _ in range(blocks)
        )


def _blocks(level: nn.Module) -> list[TemporalBlock]:
    """The temporal blocks of a level, in the order the UNet runs them."""
    return [block for block in level.modules() if isinstance(block, TemporalBlock)]


def down_levels(config: MotionConfig, operations: Any, **kw: Any) -> nn.ModuleList:
    """The temporal blocks of the way down."""
    return nn.ModuleList(Level(DOWN_BLOCKS_PER_LEVEL, c, config, operations, **kw) for c in config.down_channels)


def down_sites(levels: nn.ModuleList) -> dict[Site, TemporalBlock]:
    """Which temporal block runs where going down. A level is followed by one downsampling block, except the last."""
    return {
        ("input", 1 + (DOWN_BLOCKS_PER_LEVEL + 1) * i + j): block
        for i, level in enumerate(levels.children())
        for j, block in enumerate(_blocks(level))
    }


class MotionModel(nn.Module):
    """The network of a motion module.

    Args:
        config: sizes, from ``checkpoint.read_config``.
        operations: where ``Linear``, ``LayerNorm`` and ``GroupNorm`` come from: ``torch.nn`` or the host's ops.
        device, dtype: of the parameters; ``meta`` when weights are assigned afterwards.
    """

    def __init__(self, config: MotionConfig, operations: Any = nn, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.config = config
        kw = {"device": device, "dtype": dtype}
        self.down_blocks = down_levels(config, operations, **kw)
        if config.has_mid:
            self.mid_block = Level(1, config.down_channels[-1], config, operations, **kw)
        self.up_blocks = nn.ModuleList(
            Level(UP_BLOCKS_PER_LEVEL, c, config, operations, **kw) for c in config.up_channels
        )

    def sites(self) -> dict[Site, TemporalBlock]:
        """Which temporal block runs where."""
        sites = down_sites(self.down_blocks)
        if self.config.has_mid:
            sites["middle", 0] = _blocks(self.mid_block)[0]
        for i, level in enumerate(self.up_blocks.children()):
            for j, block in enumerate(_blocks(level)):
                sites["output", UP_BLOCKS_PER_LEVEL * i + j] = block
        return sites
