"""The training loop, without the host: settings, noise levels, loss, state that resumes."""
