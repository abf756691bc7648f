"""HTTP within bounds: a deadline for each exchange as a whole, and a size that no answer exceeds."""
