"""Examples that run: each is a package, `python -m examples.<name>`."""
