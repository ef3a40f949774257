"""Benchmarks: `python3 dev.py bench NAME`. Each prints its figures with the machine they were taken on."""
