"""A shop in Django whose events are captured in its transactions."""
