"""The AnimateDiff network itself: plain torch, no ComfyUI.

Read it in this order: ``attention`` (self-attention along frames), ``module`` (one temporal block),
``model`` (all blocks of one file, by UNet site), ``config`` (what distinguishes the families), ``container``
(opening files), ``describe`` (what a file is), ``checkpoint`` and ``lora`` (the files people download). Aside: ``views``
(windows inside the attention), ``low_rank`` (LoRAs that are not merged), ``sparse_control`` (SparseCtrl's own parts).
"""
