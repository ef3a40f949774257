"""Timelines: keyframes, their text, lists of frames, curves of numbers, pictures of them."""
