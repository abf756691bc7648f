"""Pure: who delivers which shards, what goes into one request, how poison is found."""
