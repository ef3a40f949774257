"""Training clips: from folders to frames and captions, latents and prompts kept on disk, camera moves."""
