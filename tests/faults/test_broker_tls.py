"""A broker behind TLS: whoever it is must prove it, and then everything goes through it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from support.runs.processes import Site
from support.schemas.small_shop import differences
from support.servers.tls_front import make_certificate, tls_front

from demo.embedded import EmbeddedValkey

pytestmark = pytest.mark.faults


def test_a_certificate_that_nobody_vouches_for_is_refused_and_a_known_one_carries_a_run(
    site: Site, broker: EmbeddedValkey, tmp_path: Path
) -> None:
    certificate, key = make_certificate(tmp_path)
    (tmp_path / "other").mkdir()
    other, _ = make_certificate(tmp_path / "other")
    with tls_front(broker.port, certificate, key) as port:
        # Given: a broker with a certificate of its own making; when: nothing is said of it, or another one is named
        url = f"rediss://:{broker.password}@127.0.0.1:{port}/0"
        for said in (url, f"{url}?ssl_ca_certs={quote(str(other), safe='')}"):
            refused = site.call("run", str(site.plan), "--workers", "1", REPLANK_BROKER_URL=said)
            # Then: nothing begins, and it is said why
            assert refused.exit_code == 3, refused.stderr
            assert "certificate" in refused.stderr.lower()
            assert broker.password not in refused.stderr
        # When: its certificate is named, then: the run and its workers go through it
        trusting = f"{url}?ssl_ca_certs={quote(str(certificate), safe='')}"
        finished = replace(site, broker_url=trusting).run(workers=2).wait()
        assert finished.exit_code == 0, finished.stderr
    assert differences(site.database_url) == []
