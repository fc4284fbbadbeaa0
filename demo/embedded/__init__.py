"""PostgreSQL and Valkey servers that the demo and the tests start for themselves and take away again.

Each instance lives in a folder of its own under the runtime root (`$REPLANK_RUNTIME_DIR`, or
`replank-<uid>` in the folder for temporary files), listens on 127.0.0.1 only, and asks for a random
password. What a killed process left behind is removed by the next one that starts a server.
"""

from importlib.util import find_spec

from demo.embedded.errors import EmbeddedServerError
from replank.errors import WrongUse
from replank.isolation import with_extra

if find_spec("psutil") is None:
    raise WrongUse(f"Embedded servers need libraries that are not installed here: {with_extra('embedded')}.")

# Only now, so that the message above is what one sees.
from demo.embedded.leftovers import clean_leftovers
from demo.embedded.postgres import EmbeddedPostgres
from demo.embedded.valkey import EmbeddedValkey

__all__ = ["EmbeddedPostgres", "EmbeddedServerError", "EmbeddedValkey", "clean_leftovers"]
