"""Looking at what there is, without changing it."""
