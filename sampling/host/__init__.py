"""The waist to ComfyUI: every name of the host that ``sampling`` uses is imported in this folder.

One file of another room, ``run/layers.py``, imports the host too: the layers of its UNet. A change of the host lands here.
"""
