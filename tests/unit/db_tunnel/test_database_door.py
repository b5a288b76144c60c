# SPDX-License-Identifier: Apache-2.0
"""Where a database is, how long its door stays open, and what stands for it on a line."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.domain.database_door import (
    Endpoint,
    Passage,
    choose_passage,
    dsn,
    parse_endpoint,
    parse_port,
    parse_ttl,
    place_of,
)
from orchestrator.domain.door import Door
from orchestrator.errors import ConfigError, Refused
from tests.unit.db_tunnel.tunnel_world import OUTPUTS, READER, WRITER


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", timedelta(hours=6)),
        ("8h", timedelta(hours=8)),
        ("30m", timedelta(minutes=30)),
        ("90s", timedelta(seconds=90)),
        ("24h", timedelta(days=1)),
    ],
)
def test_a_ttl_is_hours_minutes_or_seconds(text: str, expected: timedelta) -> None:
    assert parse_ttl(text, default_hours=6) == expected


@pytest.mark.parametrize("text", ["8", "0h", "-1h", "1d", "h", "8h30m", " 8h", "８h", "1.5h"])
def test_what_is_no_ttl_is_named(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_ttl(text, default_hours=6)
    assert caught.value.problems == (f"db-tunnel: ttl {text!r}: must be like 8h, 30m or 90s",)


@pytest.mark.parametrize("text", ["25h", "1441m", "86401s"])
def test_a_tunnel_stays_for_a_day_at_most(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_ttl(text, default_hours=6)
    assert caught.value.problems == (f"db-tunnel: ttl {text!r}: must be 24h at most",)


@pytest.mark.parametrize(("text", "expected"), [("", 0), ("1", 1), ("65535", 65535)])
def test_a_port_is_a_number(text: str, expected: int) -> None:
    assert parse_port(text) == expected


@pytest.mark.parametrize("text", ["0", "65536", "x", "-1", "٣", "1 "])
def test_what_is_no_port_is_named(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_port(text)
    assert caught.value.problems == (f"db-tunnel: local-port {text!r}: must be a number from 1 to 65535",)


def test_an_endpoint_leads_through_its_own_door() -> None:
    assert [parse_endpoint(text).door for text in ("reader", "writer")] == [Door.READER, Door.WRITER]
    with pytest.raises(ConfigError) as caught:
        parse_endpoint("master")
    assert caught.value.problems == ("db-tunnel: endpoint 'master': must be one of reader, writer",)


@pytest.mark.parametrize(("endpoint", "expected"), [(Endpoint.READER, READER), (Endpoint.WRITER, WRITER)])
def test_the_stack_tells_where_an_endpoint_is(endpoint: Endpoint, expected: object) -> None:
    assert place_of(OUTPUTS, endpoint, name="levels", stack="s") == expected


def test_a_stack_without_an_endpoint_is_refused() -> None:
    outputs = {name: value for name, value in OUTPUTS.items() if name != "ReaderEndpoint"}
    assert place_of(outputs, Endpoint.WRITER, name="levels", stack="s") == WRITER
    with pytest.raises(Refused) as caught:
        place_of(outputs, Endpoint.READER, name="levels", stack="s")
    assert caught.value.cause == "the stack s has no output ReaderEndpoint"


def test_a_dsn_has_no_password_and_checks_the_authority() -> None:
    address = ("127.0.0.1", 3307)
    assert dsn(READER, address) == "mysql://127.0.0.1:3307/levels?ssl-mode=VERIFY_CA"
    assert dsn(READER, address, "a@b/c") == "mysql://a%40b%2Fc@127.0.0.1:3307/levels?ssl-mode=VERIFY_CA"


def test_the_fleet_with_the_most_machines_is_gone_through_and_of_equals_the_first() -> None:
    few, many, equal = Passage("worker", 1), Passage("api", 4), Passage("other", 4)
    assert choose_passage([few, many, equal]) is many
    assert choose_passage([few, Passage("api", 0)]) is few
    assert choose_passage([Passage("api", 0)]) is None
    assert choose_passage([]) is None
