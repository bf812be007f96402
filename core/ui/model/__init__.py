"""The page of one registered model."""
