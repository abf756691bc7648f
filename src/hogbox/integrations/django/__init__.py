"""hogbox in Django."""
