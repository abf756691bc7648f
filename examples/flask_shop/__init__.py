"""A small shop in Flask: orders, events and flags in one transaction. docs/how-to/flask.md says how to start it."""
