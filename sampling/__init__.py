"""How the motion model enters ComfyUI: a storey of rooms, each of which uses only those below it.

``run`` puts things on a MODEL and works around its runs and calls; ``windows`` are context windows; ``controls`` those of the
host, SparseCtrl among them; ``modules`` are motion modules as models of the host; ``start`` is what a run starts from;
``timeline`` is what changes over an animation; ``files`` is how an animation is saved; ``frames`` is what one call of the
model holds; ``host`` is the waist to ComfyUI.
"""
