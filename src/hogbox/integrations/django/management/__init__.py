"""Management commands of hogbox."""
