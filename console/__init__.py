"""The Django project and its web pages. Whoever starts Django gets the Celery application with it, so that `send_task`
knows the broker.
"""

from console.celery import app as celery_app

__all__ = ["celery_app"]
