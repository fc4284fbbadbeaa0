"""The Celery application: what a worker's processes do with a delivery, and what monitors hear of it."""
