#!/usr/bin/env python3
"""The commands of a developer: `python3 dev.py demo`, `test`, `lint`, `bench`, `convert`, `serve`, `train-world`; see `demo/commands.py`.

Needs Python 3.10 and a Python package index to install from; nothing else.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Check the Python version and run the command; returns the exit status."""
    if sys.version_info < (3, 10):  # noqa: UP036 - an older Python may well be the one that runs this
        got = f"{sys.version_info[0]}.{sys.version_info[1]}"
        sys.stderr.write(f"dev.py needs Python 3.10 or newer; this is {got}. Run it with a newer one.\n")
        return 1
    sys.dont_write_bytecode = True  # a clone stays as it was
    from demo.commands import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
