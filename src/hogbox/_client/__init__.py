"""What both clients are made of: they decide what to write, read and ask; the client only waits."""
