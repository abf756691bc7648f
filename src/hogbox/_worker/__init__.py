"""The parts of a worker: leases on shards, senders that deliver, the poller of flag definitions."""
