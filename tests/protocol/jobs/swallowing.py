"""A way to the server that loses the answer to a COMMIT: the server has done it, the client never hears."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from psycopg import conninfo

COMMIT = b"COMMIT"


class Swallowing:
    """Passes bytes on both ways until it is armed; then the COMMIT after the next `before` ones loses its answer."""

    def __init__(self, url: str) -> None:
        named = conninfo.conninfo_to_dict(url)
        self._server = (str(named["host"]), int(str(named["port"])))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._before: int | None = None
        self.swallowed = threading.Event()
        self.url = conninfo.make_conninfo(
            url, host="127.0.0.1", port=self._listener.getsockname()[1], sslmode="disable"
        )
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, *, before: int = 0) -> None:
        self._before = before

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                threading.Thread(target=self._forward, args=(client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        """Client to server; the other direction has a thread of its own, which stops passing on when told so."""
        deaf = threading.Event()
        back = threading.Thread(target=self._answer, args=(client, server, deaf), daemon=True)
        back.start()
        with contextlib.suppress(OSError):
            while data := client.recv(65_536):
                if COMMIT in data and self._before is not None:
                    self._before -= 1
                    if self._before < 0:
                        self._before = None
                        deaf.set()
                server.sendall(data)

    def _answer(self, client: socket.socket, server: socket.socket, deaf: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65_536):
                if deaf.is_set():
                    # The server has answered, so it has committed.
                    self.swallowed.set()
                    for end in (client, server):
                        end.shutdown(socket.SHUT_RDWR)
                        end.close()
                    return
                client.sendall(data)


@contextlib.contextmanager
def swallowing(url: str) -> Iterator[Swallowing]:
    made = Swallowing(url)
    try:
        yield made
    finally:
        made.close()
