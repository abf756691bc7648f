"""The migrations of this app: one for each version of hogbox's tables."""
