"""How the motion model enters ComfyUI. The only place of this pack that imports ``comfy``.

``patcher`` loads motion modules into the host's memory management, ``inject`` puts them to work on a MODEL,
``beta_schedule`` and ``windows`` hold what that needs, ``run`` samples. What changes over a clip is written in the grammar of
``schedule_text``: numbers (``curve``, ``control_curve``, ``guidance``) and prompts (``prompt_travel``).
"""
