#!/usr/bin/env python3
"""The commands of a developer: `python3 dev.py demo`, `test`, `lint`, `serve`; see `demo/commands.py`.

Needs Python 3.10 and a Python package index to install from; nothing else.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Check the Python version and run the command; returns the exit status."""
    if sys.version_info < (3, 10):  # before the import: an older Python could not even read those files
        sys.stderr.write("dev.py needs Python 3.10 or newer; this is {}.{}. Use a newer one.\n".format(*sys.version_info))  # noqa: UP032
        return 1
    sys.dont_write_bytecode = True  # a clone stays as it was
    from demo.commands import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
