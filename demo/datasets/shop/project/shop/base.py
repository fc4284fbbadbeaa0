"""What the models have in common."""

from datetime import datetime
from typing import Annotated
from uuid import uuid4

from sqlalchemy import DateTime, String, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Key = Annotated[str, mapped_column(String(36))]


class Base(DeclarativeBase):
    pass


class HasId:
    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=lambda: str(uuid4()))


class HasCreated:
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=text("now()"))
