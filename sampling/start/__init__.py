"""What a sampling run starts from: noise of frames, FreeInit, pinned frames. Tensor functions; ``run`` puts them on a MODEL."""
