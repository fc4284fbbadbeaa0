"""Signatures of webhooks: the library's word, and that of an HMAC made by hand."""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from support.servers.receiving import SECRET

from producer.notifications.signing import signed_headers, signer_of
from replank.errors import WrongUse

pytestmark = pytest.mark.unit

ID = "msg_1"
BODY = '{"message":"Schlüssel ключ"}'.encode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"another secret of thirty-two byt").decode()
FAR_EAST = timezone(timedelta(hours=9))


def sent(at: datetime, *, secret: str = SECRET) -> dict[str, str]:
    return signed_headers(signer_of(secret, variable="SECRET"), message_id=ID, at=at, body=BODY)


@pytest.mark.parametrize("zone", [UTC, FAR_EAST])
def test_the_library_and_an_hmac_by_hand_agree(zone: timezone) -> None:
    at = datetime.now(zone)
    headers = sent(at)
    assert Webhook(SECRET).verify(BODY, headers) == {"message": "Schlüssel ключ"}

    moment = str(int(at.timestamp()))
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    mark = hmac.new(key, f"{ID}.{moment}.".encode() + BODY, hashlib.sha256).digest()
    expected = {"webhook-id": ID, "webhook-timestamp": moment}
    assert headers == {**expected, "webhook-signature": f"v1,{base64.b64encode(mark).decode()}"}


def _later(headers: dict[str, str]) -> dict[str, str]:
    return {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}


REFUSED: dict[str, Callable[[], tuple[bytes, dict[str, str]]]] = {
    "another secret": lambda: (BODY, sent(datetime.now(UTC), secret=OTHER_SECRET)),
    "signed six minutes ago": lambda: (BODY, sent(datetime.now(UTC) - timedelta(minutes=6))),
    "signed in the future": lambda: (BODY, sent(datetime.now(UTC) + timedelta(minutes=6))),
    "another body": lambda: (BODY + b" ", sent(datetime.now(UTC))),
    "another time": lambda: (BODY, _later(sent(datetime.now(UTC)))),
    "another id": lambda: (BODY, {**sent(datetime.now(UTC)), "webhook-id": "msg_2"}),
    "no signature": lambda: (BODY, {"webhook-id": ID, "webhook-timestamp": "1"}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_receiver_refuses(what: str) -> None:
    body, headers = REFUSED[what]()
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, headers)


def test_the_receiver_of_the_documentation_does_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLANK_NOTIFY_SECRET", SECRET)
    text = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.+?)```", text, re.DOTALL)
    place: dict[str, Callable[[bytes, dict[str, str]], int]] = {}
    exec(code, place)
    receive = place["receive"]
    assert receive(BODY, sent(datetime.now(UTC))) == 204
    assert {receive(*make()) for make in REFUSED.values()} == {401}


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ("", "begin with whsec_"),
        ("a password", "begin with whsec_"),
        ("whsec_%%", "not base64"),
        ("whsec_c2hv", "3 bytes"),
    ],
)
def test_what_is_no_secret_is_refused_without_being_shown(secret: str, why: str) -> None:
    with pytest.raises(WrongUse, match=why) as refused:
        signer_of(secret, variable="SECRET")
    assert not secret or secret.removeprefix("whsec_") not in str(refused.value)
