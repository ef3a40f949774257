"""The three stages of training: what is trained, and the file it becomes."""
