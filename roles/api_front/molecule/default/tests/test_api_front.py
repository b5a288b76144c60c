# SPDX-License-Identifier: Apache-2.0
"""What a machine must be like after the role `api_front`."""

from collections.abc import Iterator

import pytest
from testinfra.host import Host

APPLICATION = """
import http.server

class Application(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (self.path + " " + self.headers.get("X-Forwarded-For", "") + "\\\\n").encode()
        self.send_response(418 if self.path == "/health" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.HTTPServer(("127.0.0.1", 8000), Application).serve_forever()
"""
STATUS = "curl --silent --output /dev/null --write-out '%{http_code}' "


@pytest.fixture(name="application")
def application_on_its_port(host: Host) -> Iterator[None]:
    """Run an application that says of itself that it is ill."""
    host.check_output(f"printf '%b' '{APPLICATION}' > /run/application.py")
    host.check_output("systemd-run --quiet --collect --unit=application python3 /run/application.py")
    host.check_output("timeout 10 sh -c 'until curl --silent http://127.0.0.1:8000/; do sleep 0.1; done'")
    yield
    host.run("systemctl stop application")


@pytest.fixture(name="release")
def release_is_installed(host: Host) -> Iterator[None]:
    """Pretend that a release of the application is on the machine."""
    host.check_output("mkdir --parents /srv/slipway/releases/1 && ln -s releases/1 /srv/slipway/current")
    yield
    host.run("rm -r /srv/slipway")


def test_a_machine_without_application_is_healthy_and_names_its_image(host: Host) -> None:
    answer = host.check_output("curl --silent --include http://127.0.0.1/health")
    assert answer.startswith("HTTP/1.1 200 ")
    assert "X-Slipway-Image: api-0123456789ab" in [line.strip() for line in answer.splitlines()]


def test_but_it_serves_nothing(host: Host) -> None:
    assert host.check_output(STATUS + "http://127.0.0.1/") == "503"


@pytest.mark.usefixtures("release")
def test_an_installed_application_that_is_down_is_ill(host: Host) -> None:
    assert host.check_output(STATUS + "http://127.0.0.1/health") == "503"


@pytest.mark.usefixtures("application")
def test_the_application_speaks_for_its_own_health(host: Host) -> None:
    assert host.check_output(STATUS + "http://127.0.0.1/health") == "418"


@pytest.mark.usefixtures("application")
def test_requests_reach_the_application_with_the_client_s_address(host: Host) -> None:
    asked = "curl --silent --header 'X-Forwarded-For: 203.0.113.9' http://127.0.0.1/levels"
    assert host.check_output(asked) == "/levels 203.0.113.9, 127.0.0.1"


@pytest.mark.usefixtures("application")
def test_every_answer_carries_the_headers(host: Host) -> None:
    answer = host.check_output("curl --silent --include http://127.0.0.1/levels").splitlines()
    names = {line.split(":")[0] for line in answer if ":" in line}
    assert {"X-Slipway-Image", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy"} <= names
    assert "Server: nginx" in [line.strip() for line in answer]


def test_hidden_files_are_nobody_s_business(host: Host) -> None:
    assert host.check_output(STATUS + "http://127.0.0.1/.git/config") == "404"


def test_nginx_runs_sandboxed_and_starts_at_boot(host: Host) -> None:
    assert host.service("nginx").is_running
    assert host.service("nginx").is_enabled
    assert host.check_output("systemctl show nginx --property=ProtectSystem --value") == "strict"
