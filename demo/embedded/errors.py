"""What goes wrong around an embedded server."""

from replank.errors import NeedsOperator


class EmbeddedServerError(NeedsOperator):
    """An embedded server could not be found, started or stopped; the message says why and what to do."""


class PortTakenError(EmbeddedServerError):
    """The server ended because another program listens on its port."""
