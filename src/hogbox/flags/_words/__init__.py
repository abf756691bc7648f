"""Flags in words, for people: why one has its value, what it says, what changed."""
