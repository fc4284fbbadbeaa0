"""Addresses as other tools write them: read where that is safe, refused without a secret where it is not."""

import ssl
import subprocess
import threading
from pathlib import Path
from socket import create_server

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kombu import Connection
from kombu.exceptions import OperationalError

from replank.addresses.cache_address import cache_address
from replank.addresses.database_address import database_address
from replank.errors import WrongUse
from replank.plan.targets import read_targets
from replank.settings import load_settings
from replank.values.messages import celery_settings
from sql.session.connection import connect

pytestmark = pytest.mark.unit

SECRET = "xQz7"
AROUND = st.text(st.sampled_from("/@:?#%&=[],;1a"), max_size=5)


@pytest.mark.parametrize(
    ("url", "read", "notes"),
    [
        ("postgresql://u:p@h/db?schema=public", "postgresql://u:p@h/db", 1),
        (
            "postgresql://u:p@h/db?pgbouncer=true&sslmode=require&connection_limit=1",
            "postgresql://u:p@h/db?sslmode=require",
            2,
        ),
        ("postgresql+psycopg://u:p@h/db", "postgresql://u:p@h/db", 1),
        ("postgres+asyncpg:///db?host=/run/pg", "postgres:///db?host=/run/pg", 1),
        ("postgresql://u%40server:p%2Fw@h1:1,[::1]:2/my%20db", "postgresql://u%40server:p%2Fw@h1:1,[::1]:2/my%20db", 0),
        ("host=h password='a/b@c'", "host=h password='a/b@c'", 0),
    ],
)
def test_what_other_tools_write_is_read(url: str, read: str, notes: int, capsys: pytest.CaptureFixture[str]) -> None:
    address = database_address(url)
    assert (address.url, len(address.notes)) == (read, notes)
    assert load_settings(database_url=url).database() == read
    assert capsys.readouterr().err.count("replank: ") == notes


def test_a_parameter_that_libpq_does_not_know_is_named() -> None:
    with pytest.raises(WrongUse, match="no parameter sslaccept, ssl_mode") as refused:
        connect(f"postgresql://u@127.0.0.1:1/db?sslaccept={SECRET}&sslmode=require&ssl_mode=x", name="test")
    assert SECRET not in str(refused.value)


@given(AROUND, AROUND)
def test_a_database_url_with_a_raw_password_is_refused_without_it(before: str, after: str) -> None:
    """Nothing is asked of a name server, and whatever libpq would say of the rest, the secret is not in it."""
    url = f"postgresql://user:{before}{SECRET}{after}@127.0.0.1:1/shop"
    with pytest.raises(WrongUse) as refused:
        connect(database_address(url).url, name="test", connect_timeout_s=1)
    assert SECRET not in str(refused.value), url


@given(AROUND, AROUND, st.sampled_from(["redis", "rediss"]))
@example("@", "?", "redis")
def test_a_broker_with_a_raw_password_is_refused_without_it(before: str, after: str, scheme: str) -> None:
    url = f"{scheme}://:{before}{SECRET}{after}@127.0.0.1:1/0"
    said = ""
    try:
        settings = celery_settings(load_settings(broker_url=url), database="test")
    except WrongUse as error:
        said = str(error)
    else:
        connection = Connection(settings["broker_url"])
        assert (connection.hostname, connection.port) == ("127.0.0.1", 1), url
    assert SECRET not in said, url


@given(AROUND, AROUND)
def test_targets_and_caches_do_not_show_it_either(before: str, after: str) -> None:
    password = f"{before}{SECRET}{after}"
    try:
        shown = cache_address("CACHE", {"CACHE": f"redis://:{password}@127.0.0.1/0"}).shown
    except WrongUse as error:
        shown = str(error)
    assert SECRET not in shown, password


def test_a_target_is_not_named_by_its_password(tmp_path: Path) -> None:
    for password in (f"1/{SECRET}", f"1?{SECRET}", f"{SECRET}/", f"@{SECRET}"):
        file = tmp_path / "targets"
        file.write_text(f"postgresql://user:{password}@db.example/shop\n")
        with pytest.raises(WrongUse) as refused:
            read_targets(file, {})
        assert SECRET not in str(refused.value)
        assert "percent-encoded" in str(refused.value)


def test_libpqs_own_variables_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REPLANK_DATABASE_URL", "PGSERVICE", "PGHOST", "PGHOSTADDR", "PGDATABASE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(WrongUse, match="PGSERVICE or PGHOST"):
        load_settings().database()
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGPASSWORD", SECRET)
    with pytest.raises(WrongUse, match="PGHOST and similar") as refused:
        connect(load_settings().database(), name="test")
    assert SECRET not in str(refused.value)
    assert refused.value.exit_code == 3


@pytest.mark.parametrize(("asked", "well"), [("", False), ("?ssl_cert_reqs=none", True), ("?ssl_ca_certs={}", True)])
def test_rediss_verifies_certificates_unless_it_is_told_not_to(tmp_path: Path, asked: str, well: bool) -> None:
    certificate, key = tmp_path / "certificate", tmp_path / "key"
    made = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout {key} -out {certificate} -subj /CN=localhost"
    subprocess.run([*made.split(), "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    trusted: list[bool] = []
    with create_server(("localhost", 0)) as server:

        def serve() -> None:
            taken, _ = server.accept()
            # The client would try again, and wait.
            server.close()
            try:
                with context.wrap_socket(taken, server_side=True) as talk:
                    # Only who took the certificate sends its first command.
                    trusted.append(bool(talk.recv(1)))
            except OSError:
                trusted.append(False)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"rediss://localhost:{server.getsockname()[1]}/0{asked.format(certificate)}"
        settings = celery_settings(load_settings(broker_url=url), database="test")
        options = {"socket_timeout": 5, "socket_connect_timeout": 5}
        with (
            Connection(url, ssl=settings.get("broker_use_ssl", False), transport_options=options) as connection,
            pytest.raises((OperationalError, ssl.SSLError)),
        ):
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=5)
        thread.join(20)
    assert trusted == [well]
