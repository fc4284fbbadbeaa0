"""Ids as uuids, as a client sends them that was made from the new schema: a text column refuses them."""

import uuid

from demo.clients.styles.driver import DriverSession, Sent
from demo.clients.styles.statements import Sort, Statements, Vocabulary


class Typed:
    """A `Style`."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._statements = Statements(vocabulary)

    def open(self, url: str, *, application_name: str) -> DriverSession:
        return DriverSession(url, application_name=application_name, statements=self._statements, send=send_typed)


def send_typed(sort: Sort, value: str | None) -> Sent:
    if value is None or sort is Sort.PLAIN:
        return value
    if sort is Sort.ID:
        return uuid.UUID(value)
    return [uuid.UUID(one) for one in value.strip("{}").split(",") if one]
