"""Metrics: what there is to measure, where it is read, and the server that a worker's process answers with."""
