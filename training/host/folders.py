"""Where training keeps what it can make again. Called by ``training.clips.encode``."""

from __future__ import annotations

from pathlib import Path

import folder_paths

CACHE = "training_cache"


def cache_folder() -> Path:
    """A folder of the host's output folder; the user may empty it at any time."""
    return Path(folder_paths.get_output_directory()) / CACHE
