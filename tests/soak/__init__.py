"""Long runs of what `make test` runs a tenth of: `make soak`."""
