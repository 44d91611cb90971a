"""Learners: one folder an algorithm, with the same file names in each."""
