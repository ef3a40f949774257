"""Training motion modules, motion LoRAs and domain adapters inside the host. Used by ``nodes``; uses ``sampling``."""
