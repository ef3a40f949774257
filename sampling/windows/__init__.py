"""Context windows: options, the host's handler made aware of frames, what it keeps for a run, cut controls, a picture."""
