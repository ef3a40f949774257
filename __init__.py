"""AnimateDiff Native: ComfyUI's entry to this node pack. The nodes are listed in ``nodes/__init__.py``."""

import logging

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    """Called by the host at start-up; imports the nodes only then, so that importing the pack costs nothing."""
    try:
        from .nodes import AnimateDiffExtension
    except Exception:
        logging.exception("AnimateDiff Native could not be loaded. It needs ComfyUI with comfy_api.latest (V3 nodes).")
        raise
    return AnimateDiffExtension()
