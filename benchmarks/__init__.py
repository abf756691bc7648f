"""hogbox beside the official client, on the same machine, in one run: `python -m benchmarks`."""
