# SPDX-License-Identifier: Apache-2.0
"""What an operator gets for wrong words, and how errors become exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from invoke.exceptions import Exit
from invoke.tasks import Task

from orchestrator import cli, errors

PROJECT = Path(__file__).resolve().parents[2]


def invoke(*words: str, port: str = "1") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "invoke", *words],
        cwd=PROJECT,
        env={**os.environ, "SLIPWAY_SANDBOX_PORT": port},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "port", "message"),
    [
        pytest.param(("sandbox.up", "--port", "abc"), "1", "port 'abc': must be a number from 1", id="word"),
        pytest.param(
            ("sandbox.up", "--port", "99999"), "1", "port '99999': must be a number", id="too large"
        ),
        pytest.param(("bake-ami",), "x", "port 'x': must be a number from 1 to 65535", id="variable"),
        pytest.param(("sandbox.up", "--mode", "foo"), "1", "mode 'foo': must be one of real", id="mode"),
        pytest.param(("sandbox.logs", "--lines", "-1"), "1", "lines '-1': must be a number", id="lines"),
        pytest.param(("gc", "--environment", "nope"), "1", "environments/nope.yaml: does not exist", id="gc"),
        pytest.param(("provision",), "1", "provision: name one of --network, --environment", id="no stacks"),
        pytest.param(
            ("drift", "--network", "sandbox", "--environment", "sandbox"),
            "1",
            "drift: name one of --network, --environment",
            id="two at once",
        ),
        pytest.param(("destroy", "--network", "no"), "1", "networks/no.yaml: does not exist", id="network"),
    ],
)
def test_wrong_words_end_with_3_before_anything_is_called(
    words: tuple[str, ...], port: str, message: str
) -> None:
    done = invoke(*words, port=port)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.endswith("state: nothing was called.\n")


@pytest.mark.parametrize(
    ("words", "message", "next_command"),
    [
        pytest.param(
            ("rollout",),
            "rollout: name one of --fleet and --all",
            "invoke rollout --environment sandbox --fleet api",
            id="no fleet",
        ),
        pytest.param(
            ("rollout.pause", "--fleet", "apo"),
            "environments/sandbox.yaml: fleets: there is no 'apo'; there are api, bastion, worker",
            "invoke rollout.pause --environment sandbox --fleet api",
            id="unknown fleet",
        ),
        pytest.param(
            ("rollout", "--fleet", "api", "--ami", "ami-1"),
            "rollout: ami 'ami-1': is not an AMI's id",
            "invoke rollout --environment sandbox --fleet api",
            id="malformed AMI",
        ),
        pytest.param(
            ("rollout", "--all", "--fleet", "api"),
            "rollout: --fleet and --all exclude each other",
            "invoke rollout --environment sandbox --fleet api",
            id="fleet and all",
        ),
    ],
)
def test_wrong_words_of_rollouts_end_with_3_and_the_command_that_was_meant(
    words: tuple[str, ...], message: str, next_command: str
) -> None:
    done = invoke(*words)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.endswith(f"state: nothing was called.\nnext: {next_command}\n")


def test_a_region_that_does_not_answer_is_told_with_the_command_that_starts_it() -> None:
    done = invoke("bake-ami", "--json")
    assert done.returncode == errors.AwsError.exit_code
    assert done.stderr.endswith("next: ./inv sandbox.up\n")
    assert json.loads(done.stdout)["next"] == "./inv sandbox.up"


def test_a_stopped_command_says_what_goes_on_without_it(capsys: pytest.CaptureFixture[str]) -> None:
    def body(_context: cli.Context) -> None:
        raise KeyboardInterrupt("CloudFormation goes on with slipway-a-network")

    made: Task[object] = cli.command(body)
    with pytest.raises(Exit):
        made.body(None)
    assert capsys.readouterr().err == "stopped: CloudFormation goes on with slipway-a-network\n"


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (errors.ConfigError("x", ("a: b",)), 3),
        (errors.Refused("x", "y"), 4),
        (errors.DriftFound("x", "y", drift={}, next_command="z"), 4),
        (errors.NotFound("ec2", "DescribeImages", "InvalidAMIID.NotFound", "no"), 5),
        (errors.BootTestFailed("x", ("y",)), 6),
        (errors.RolledBack("x", "y"), 7),
        (errors.Stranded("x", "y"), 8),
        (errors.WaitTimeout("x", "y"), 9),
        (KeyboardInterrupt(), 130),
        (cli._Terminated(), 143),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_every_error_has_its_exit_code(raised: BaseException, code: int) -> None:
    def body(_context: cli.Context) -> None:
        raise raised

    made: Task[object] = cli.command(body)
    with pytest.raises(Exit) as ended:
        made.body(None)
    assert ended.value.code == code


def test_a_bug_is_not_dressed_up_as_an_error() -> None:
    def body(_context: cli.Context) -> None:
        raise ZeroDivisionError

    made: Task[object] = cli.command(body)
    with pytest.raises(ZeroDivisionError):
        made.body(None)
