"""A module that stands beside an experiment file and is not installed."""

SCALE = 0.1
