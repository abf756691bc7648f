"""hogbox's own connections: where they lead, how they are set, and what ends them."""
