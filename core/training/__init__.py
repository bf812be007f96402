"""Training: projects with their params, and the jobs that run them."""
