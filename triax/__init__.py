"""Triax: deep reinforcement learning and imitation learning in JAX and Flax."""
