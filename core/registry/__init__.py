"""The registry: its catalogue, the ladder of stages, and transitions on one path."""
