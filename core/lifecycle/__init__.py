"""What spans capabilities: the worker, the sample, the overview, and the parts they work with."""
