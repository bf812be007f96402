"""Runs: found, compared, their metric histories."""
