"""Run by ``torchrun`` in a test: the training command on the tests' tiny model, in each of its processes."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
ARGUMENTS, sys.argv = sys.argv[1:], sys.argv[:1]

import conftest  # noqa: E402, F401 - makes the host and the pack importable
from animatediff_native.training.host.checkpoint import Checkpoint  # noqa: E402
from animatediff_native.training.stages.command import main  # noqa: E402
from animatediff_tests.tiny import tiny_model  # noqa: E402

if __name__ == "__main__":
    main(ARGUMENTS, lambda _: Checkpoint(tiny_model(), None, None))
