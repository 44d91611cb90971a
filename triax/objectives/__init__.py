"""The mathematics of learning: arrays in, arrays out."""
