"""`hogbox_worker`, `hogbox_deliver`, `hogbox_refresh`, `hogbox_status`."""
