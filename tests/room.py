"""How far nodes grow when they have run. Stated once, for the tests of `workflows/` and the browser tests, which measure it."""

ROOM = {"AnimateDiffNativeSampler": 700, "KSampler": 560, "SaveAnimatedWEBP": 480}
"""Height, with the title, to which a node grows in Nodes 2.0, with the live preview and two warnings."""
