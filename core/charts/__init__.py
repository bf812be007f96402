"""Charts: a DataFrame in, a Plotly figure out."""
