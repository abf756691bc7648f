"""Celery: tasks that deliver and refresh, contexts that are passed to tasks, and unhandled exceptions of tasks.

app = Celery("shop", broker="redis://127.0.0.1:6379/0")
posthog = PostHog(engine)
HogboxCelery(app, posthog)
"""

from hogbox.integrations.celery.app import HogboxCelery

__all__ = ["HogboxCelery"]
