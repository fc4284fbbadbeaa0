"""Ids of all models."""

import uuid


def new_id() -> str:
    return str(uuid.uuid4())
