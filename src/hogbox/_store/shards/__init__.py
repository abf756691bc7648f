"""The shards: who owns them, and from which event on they are read."""
