"""Modeldeck: the whole life of a model, in a browser, over MLflow."""

__version__ = "0.1.0"
