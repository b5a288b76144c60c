# SPDX-License-Identifier: Apache-2.0
"""Errors of AWS as operators see them, and what the session logs and imports."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from orchestrator.aws.errors import Call, is_not_found, translate
from orchestrator.aws.identity import AwsIdentity
from orchestrator.aws.operator_address import OperatorAddress
from orchestrator.aws.session import AwsSession, CredentialSource, Endpoint, redacted
from orchestrator.errors import AwsError, CredentialsExpired, NotFound, TokenExpired
from tests.fakes import FakeClock

CALL = Call("ec2", "DescribeImages", is_loopback=False)
LOCAL_CALL = Call("ec2", "DescribeImages", is_loopback=True)


def refusal(code: str) -> ClientError:
    response = {"Error": {"Code": code, "Message": "No."}, "ResponseMetadata": {"RequestId": "r-1"}}
    return ClientError(response, "RunInstances")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("InvalidInstanceID.NotFound", True),
        ("InvalidAMIID.Unavailable", True),
        ("InvalidKeyPair.NotFound", True),
        ("NoSuchKey", True),
        ("NoSuchBucket", True),
        ("ParameterNotFound", True),
        ("ResourceNotFoundException", True),
        ("DBClusterNotFoundFault", True),
        ("InvalidInstanceID.Malformed", False),
        ("UnauthorizedOperation", False),
        ("Throttling", False),
        ("Unknown", False),
    ],
)
def test_not_found_is_told_by_code(code: str, expected: bool) -> None:
    assert is_not_found(code) is expected
    assert isinstance(translate(refusal(code), CALL), NotFound) is expected


@pytest.mark.parametrize(
    "exc",
    [
        refusal("ExpiredToken"),
        refusal("ExpiredTokenException"),
        refusal("TokenRefreshRequired"),
        refusal("RequestExpired"),
        exceptions.UnauthorizedSSOTokenError(),
        exceptions.LoginRefreshRequired(),
        exceptions.TokenRetrievalError(provider="sso", error_msg="Token has expired and refresh failed"),
    ],
    ids=lambda exc: getattr(exc, "response", {}).get("Error", {}).get("Code", type(exc).__name__),
)
def test_a_session_with_aws_that_is_over_is_told_from_other_refusals(exc: Exception) -> None:
    error = translate(exc, CALL)
    assert isinstance(error, CredentialsExpired)
    # Whoever expects an error of AWS gets one, and whoever opens doors learns that none will open.
    assert (isinstance(error, AwsError), isinstance(error, TokenExpired), error.exit_code) == (True, True, 25)
    assert "aws sso login" in error.next_command


@pytest.mark.parametrize("exc", [refusal("AccessDenied"), exceptions.NoCredentialsError()])
def test_other_refusals_are_not_about_time(exc: Exception) -> None:
    assert (type(translate(exc, CALL)), translate(exc, CALL).exit_code) == (AwsError, 5)


def test_a_refusal_says_service_operation_code_and_request() -> None:
    error = translate(refusal("UnauthorizedOperation"), CALL)
    assert str(error) == "error: ec2 RunInstances: UnauthorizedOperation: No. (request r-1)."
    assert (error.exit_code, error.code, error.request_id) == (5, "UnauthorizedOperation", "r-1")


@pytest.mark.parametrize(
    ("exc", "code", "hint"),
    [
        (exceptions.EndpointConnectionError(endpoint_url="u"), "Unreachable", "network"),
        (exceptions.ConnectTimeoutError(endpoint_url="u"), "Unreachable", "network"),
        (exceptions.ReadTimeoutError(endpoint_url="u"), "Unreachable", "network"),
        (exceptions.ConnectionClosedError(endpoint_url="u"), "Unreachable", "network"),
        (exceptions.ProxyConnectionError(proxy_url="u"), "Unreachable", "network"),
        (exceptions.NoCredentialsError(), "NoCredentials", "aws sso login"),
        (exceptions.ProfileNotFound(profile="p"), "NoCredentials", "aws sso login"),
        (exceptions.ParamValidationError(report="r"), "ParamValidationError", ""),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else None,
)
def test_what_went_wrong_before_aws_answered(exc: Exception, code: str, hint: str) -> None:
    error = translate(exc, CALL)
    assert (error.code, type(error)) == (code, AwsError)
    assert hint in error.next_command


def test_a_local_region_that_is_down_says_how_to_start_it() -> None:
    error = translate(exceptions.EndpointConnectionError(endpoint_url="u"), LOCAL_CALL)
    assert error.next_command == "./inv sandbox.up"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_nobody_at_the_endpoint() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    session = AwsSession(Endpoint("us-east-1", url, CredentialSource.LOCAL))
    with pytest.raises(AwsError) as caught:
        AwsIdentity(session).account_id()
    assert (caught.value.what, caught.value.code) == ("sts GetCallerIdentity", "Unreachable")
    assert caught.value.next_command == "./inv sandbox.up"


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> pytest.MonkeyPatch:
    """Return an environment without credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, f"{tmp_path}/none")
    return monkeypatch


def test_no_credentials(home: pytest.MonkeyPatch) -> None:
    with pytest.raises(AwsError) as caught:
        AwsIdentity(AwsSession(Endpoint("us-east-1", "http://127.0.0.1:1"))).account_id()
    assert (caught.value.what, caught.value.code) == ("sts GetCallerIdentity", "NoCredentials")


def test_a_profile_that_is_not_there(home: pytest.MonkeyPatch) -> None:
    home.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(AwsError) as caught:
        AwsIdentity(AwsSession(Endpoint("us-east-1"))).account_id()
    assert (caught.value.what, caught.value.code) == ("sts CreateClient", "NoCredentials")
    with pytest.raises(AwsError):
        AwsSession(Endpoint("us-east-1")).credentials_environ()


def test_local_credentials_are_never_the_operators_own(home: pytest.MonkeyPatch) -> None:
    home.setenv("AWS_ACCESS_KEY_ID", "AKIAOPERATOR")
    home.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    home.setenv("AWS_SESSION_TOKEN", "token")
    session = AwsSession(Endpoint("us-east-1", "http://127.0.0.1:1", CredentialSource.LOCAL))
    assert session.credentials_environ() == {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}


def test_calls_are_logged_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    session = AwsSession(Endpoint("us-east-1", f"http://127.0.0.1:{free_port()}", CredentialSource.LOCAL))
    caplog.set_level(logging.DEBUG, "orchestrator.aws")
    with pytest.raises(AwsError):
        AwsIdentity(session).account_id()
    assert [record.getMessage() for record in caplog.records if record.name.startswith("orchestrator")] == [
        "sts GetCallerIdentity {}"
    ]


def test_parameters_are_redacted() -> None:
    given = {
        "UserData": "#cloud-config",
        "Body": b"text",
        "Nested": [{"Password": "p", "Name": "n", "Blob": b"b"}],
        "Filters": [{"Name": "tag-key", "Values": ["a"]}],
    }
    assert redacted(given) == {
        "UserData": "***",
        "Body": "***",
        "Nested": [{"Password": "***", "Name": "n", "Blob": "***"}],
        "Filters": [{"Name": "tag-key", "Values": ["a"]}],
    }


def test_importing_the_adapters_imports_no_client() -> None:
    program = (
        "import sys, orchestrator.aws.images, orchestrator.aws.machines, orchestrator.aws.objects,"
        " orchestrator.aws.identity, orchestrator.locks, orchestrator.ssh.client, orchestrator.ssh.keys;"
        "sys.stdout.write(' '.join({'boto3', 'botocore', 'paramiko', 'cryptography'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == ""


@pytest.mark.parametrize(
    ("endpoint", "is_loopback"),
    [
        ("http://127.0.0.1:4566", True),
        ("http://localhost:4566", True),
        ("http://[::1]:4566", True),
        ("https://ec2.us-east-1.amazonaws.com", False),
        ("http://10.0.0.1", False),
        ("", False),
    ],
)
def test_a_loopback_endpoint_is_recognised(endpoint: str, is_loopback: bool) -> None:
    assert Endpoint("us-east-1", endpoint).is_loopback is is_loopback


class Page(BaseHTTPRequestHandler):
    """Answers with what the server's script says, the last for ever."""

    def do_GET(self) -> None:
        status, body = self.server.script[0]  # type: ignore[attr-defined]
        if len(self.server.script) > 1:  # type: ignore[attr-defined]
            self.server.script.pop(0)  # type: ignore[attr-defined]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def page() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(page: ThreadingHTTPServer, *script: tuple[int, bytes]) -> str:
    page.script = list(script)  # type: ignore[attr-defined]
    return OperatorAddress(f"http://127.0.0.1:{page.server_port}/", FakeClock()).cidr()


class TestOperatorAddress:
    def test_an_address_becomes_a_network_of_one(self, page: ThreadingHTTPServer) -> None:
        assert ask(page, (200, b"192.0.2.7\n")) == "192.0.2.7/32"

    def test_a_page_that_fails_once_is_asked_again(self, page: ThreadingHTTPServer) -> None:
        assert ask(page, (503, b""), (200, b"192.0.2.7")) == "192.0.2.7/32"

    def test_a_page_that_fails_twice_is_unreachable(self, page: ThreadingHTTPServer) -> None:
        with pytest.raises(AwsError) as caught:
            ask(page, (503, b""))
        assert caught.value.code == "Unreachable"

    @pytest.mark.parametrize(
        "body", [b"", b"<html>log in</html>", b"2001:db8::1", b"0.0.0.0", b"192.0.2.7/0", b"1" * 10_000]
    )
    def test_anything_but_one_address_is_refused(self, page: ThreadingHTTPServer, body: bytes) -> None:
        with pytest.raises(AwsError) as caught:
            ask(page, (200, body))
        assert caught.value.code == "BadAnswer"

    def test_a_file_is_no_page(self) -> None:
        with pytest.raises(AwsError) as caught:
            OperatorAddress("file:///etc/hostname", FakeClock()).cidr()
        assert caught.value.code == "BadAddress"

    def test_nobody_there(self) -> None:
        with pytest.raises(AwsError) as caught:
            OperatorAddress(f"http://127.0.0.1:{free_port()}/", FakeClock()).cidr()
        assert (caught.value.code, caught.value.next_command) == ("Unreachable", "./inv sandbox.up")
