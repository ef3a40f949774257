"""Training's way into the host: private copies of models, and a sampling run that trains instead."""
