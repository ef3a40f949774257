"""Motion modules under the host's memory management, and the LoRAs that go with them."""
