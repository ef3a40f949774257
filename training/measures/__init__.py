"""Numbers about finished frames: how the camera moves, how frames differ, how well loops and joints close. No host."""
