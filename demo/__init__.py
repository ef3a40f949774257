"""Everything `dev.py` is made of: the set-up of a real ComfyUI, tiny random models, and the demo. Not part of the pack.

Standard library only, except `synthetic`, `tiny_checkpoint` and `write_models` (torch) and `contact_sheet` (Pillow),
which run inside the environment that `environment` makes.
"""
