"""Training motion modules, motion LoRAs and domain adapters inside the host, and measuring what they make. Used by ``nodes``; uses ``sampling``."""
