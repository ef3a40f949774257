"""AnimateDiff Native: ComfyUI's entry to this node pack. The nodes are listed in ``nodes/__init__.py``."""

import logging
import re

WEB_DIRECTORY = "./web"
OLDEST_HOST = "0.27.0"


def _check_host() -> None:
    """Raise RuntimeError, in one sentence with both versions, on a ComfyUI that is older than this pack can use."""
    try:
        from comfyui_version import __version__ as version
    except ImportError:  # no version to compare: what is missing will say so itself
        return
    needed, got = ([int(number) for number in re.findall(r"\d+", text)[:3]] for text in (OLDEST_HOST, version))
    if got < needed:
        raise RuntimeError(f"AnimateDiff Native needs ComfyUI {OLDEST_HOST} or newer; this is {version}. Update ComfyUI.")


async def comfy_entrypoint():
    """Called by the host at start-up; imports the nodes only then, so that importing the pack costs nothing."""
    _check_host()
    try:
        from .nodes import AnimateDiffExtension
    except Exception:
        logging.exception("AnimateDiff Native could not be loaded.")
        raise
    return AnimateDiffExtension()
