"""The tables, and what makes them."""
