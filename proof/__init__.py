"""The proof: real processes, real databases, faults, and a count of what became of every event."""
