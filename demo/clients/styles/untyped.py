"""Parameters without a type, as most drivers and ORMs send texts: the server takes each for what the column is, text
before a conversion and uuid after it."""

from demo.clients.styles.driver import DriverSession
from demo.clients.styles.statements import Sort, Statements, Vocabulary


class Untyped:
    """A `Style`."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._statements = Statements(vocabulary)

    def open(self, url: str, *, application_name: str) -> DriverSession:
        return DriverSession(url, application_name=application_name, statements=self._statements, send=send_untyped)


def send_untyped(sort: Sort, value: str | None) -> str | None:  # noqa: ARG001
    """psycopg sends text as `unknown`."""
    return value
