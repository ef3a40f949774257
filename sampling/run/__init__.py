"""What is put on a MODEL, and what then happens around a sampling run and around a call of the UNet."""
