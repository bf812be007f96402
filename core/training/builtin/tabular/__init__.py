"""The built-in project: learns to predict one column of a table. An ordinary MLflow project."""
