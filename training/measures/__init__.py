"""Numbers about finished frames: how the camera moves, how frames differ, how well loops and joints close. Only ``table`` uses the host."""
