"""Frames as files: animated WEBP, GIF and MP4, with the workflow inside. Used by ``nodes.save``; imports only ``host``."""
