"""What a worker is made of: leases on shards, senders that deliver, the poller of flag definitions."""
