"""Randomised physics."""
