"""HTTP within limits: a deadline for each exchange as a whole, and a maximum size of responses."""
