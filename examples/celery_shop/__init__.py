"""A shop whose orders are confirmed and paid by Celery: who ordered is told of all that its tasks capture."""
