"""Messages as they lie in the broker, written without Celery: many at once, and such as no Celery would send."""

import base64
import json
import uuid

import redis
from support.runs.processes import Site

from faults.sending import dispatching
from replank.values.states import JobKind
from sql.ledger.jobs.job_queue import Sendable

NO_JOB = 2_000_000_000
QUEUE = "*:replank.copy"


def open_queue(site: Site, client: redis.Redis) -> tuple[str, dict[str, object]]:
    """The key of the copy jobs' queue and a message in it, which is taken out; no worker may run yet."""
    with dispatching(site) as dispatcher:
        dispatcher.send(1, [Sendable(job_id=NO_JOB, kind=JobKind.COPY, table_no=1)], {})
    (key,) = client.scan_iter(QUEUE)
    return str(key), json.loads(str(client.rpop(key)))


def copies(message: dict[str, object], count: int) -> list[str]:
    """So many messages like the one: each is one of its own for Celery and for kombu."""
    text = json.dumps(message)
    headers, properties = message["headers"], message["properties"]
    assert isinstance(headers, dict)
    assert isinstance(properties, dict)
    made = []
    for _ in range(count):
        fresh = str(uuid.uuid4())
        made.append(text.replace(headers["id"], fresh).replace(properties["delivery_tag"], str(uuid.uuid4())))
    return made


def garbage(message: dict[str, object]) -> list[bytes]:
    """What no worker can read: no JSON, JSON of other shapes, and messages one part of which is something else."""
    headers, properties = message["headers"], message["properties"]
    assert isinstance(headers, dict)
    assert isinstance(properties, dict)
    shapes: list[object] = [None, 7, "text", [], [1, 2], {}, {"__type__": "uuid", "__value__": 5}]
    shapes += [
        {"__type__": name, "__value__": {}} for name in ("bytes", "decimal", "datetime", "base64", "no such type")
    ]
    shapes += [{name: value for name, value in message.items() if name != left} for left in message]
    for part in ("body", "headers", "properties"):
        shapes += [message | {part: other} for other in (None, 0, "", "%", [], {}, {"x": None}, "A" * 200_000)]
    for name in headers:
        shapes += [message | {"headers": headers | {name: other}} for other in (7, "garbage", {}, [[]], "\x00")]
    for name in properties:
        shapes += [message | {"properties": properties | {name: other}} for other in (7, {}, None)]
    bodies: list[object] = [None, [], [[], {}, {}], [[], {"run_id": "x", "job_id": 2**80}, {}], [[], [1, 2]], "[" * 9]
    shapes += [message | {"body": base64.b64encode(json.dumps(b).encode()).decode()} for b in bodies]
    shapes += [message | {"content-type": "application/x-python-serialize"}, message | {"content-encoding": "rot13"}]
    texts = [b"", b"garbage", b"\xff\xfe\x00", b"{", b"[" * 200_000, b"x" * 4_000_000, b"\x80\x04N."]
    return texts + [json.dumps(shape).encode() for shape in shapes]
