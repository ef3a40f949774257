"""Tests; importable as animatediff_tests."""
