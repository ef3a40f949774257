"""Prompts over the frames of an animation: which prompt each frame sees, and their embeddings."""
