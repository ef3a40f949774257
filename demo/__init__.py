"""Everything `dev.py` is made of: the set-up of a real ComfyUI, tiny models, the small world, and the demo. Not part of the pack.

Standard library only, except `write_models` and what it imports (torch) and `contact_sheet` (Pillow), which run inside
the environment that `environment` makes.
"""
