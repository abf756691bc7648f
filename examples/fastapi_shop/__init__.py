"""A shop on FastAPI, asynchronous SQLAlchemy and PostgreSQL; docs/how-to/fastapi.md says how to start it."""
