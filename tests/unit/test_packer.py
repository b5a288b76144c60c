# SPDX-License-Identifier: Apache-2.0
"""Packer is called as meant, its output understood, and its template valid."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.config.images import closure, load_graph
from orchestrator.config.tree import stage
from orchestrator.errors import Refused, RemoteError
from orchestrator.ports import BuildRequest
from orchestrator.tools.packer import Packer, build_argv, build_variables, init_argv, version_argv
from orchestrator.tools.packer_output import Output
from orchestrator.tools.process import Processes

PROJECT = Path(__file__).resolve().parents[2]
CASES = PROJECT / "tests" / "cases" / "packer"
TEMPLATES = ("packer/image.pkr.hcl", "packer/plugins.pkr.hcl")
SECRET = "the-secret-key"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET}

needs_packer = pytest.mark.skipif(shutil.which("packer") is None, reason="Packer is not installed")


def request_in(folder: Path) -> BuildRequest:
    return BuildRequest(
        class_name="api",
        bake_key="0123456789abcdef0123456789abcdef",
        image_name="api-0123456789abcdef0123456789abcdef",
        context=folder / "context",
        playbook="playbooks/images/api.yml",
        source_ami_id="ami-0123456789abcdef0",
        instance_type="t3.small",
        region="us-east-1",
        endpoint_url="http://127.0.0.1:4566",
        subnet_id="subnet-0123456789abcdef0",
        security_group_id="sg-0123456789abcdef0",
        key_name="slipway-run-api",
        private_key=folder / "operator",
        known_hosts=folder / "known_hosts",
        user_data=folder / "user-data",
        tags={"slipway:state": "candidate", "slipway:parent": "base-00"},
        run_tags={"slipway:run": "run", "Name": "bake-api"},
    )


@pytest.fixture
def request_on_disk(tmp_path: Path) -> BuildRequest:
    """A request whose files exist, with the project's own closure staged."""
    request = request_in(tmp_path)
    stage(PROJECT, closure(PROJECT, load_graph(PROJECT).classes["api"]), request.context)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", request.private_key], check=True)
    request.known_hosts.write_text("* ssh-ed25519 AAAA\n")
    request.user_data.write_text("#cloud-config\n")
    return request


# -- commands


def test_the_commands() -> None:
    assert version_argv() == ["packer", "version"]
    assert init_argv() == ["packer", "init", "packer"]


@pytest.mark.parametrize(
    ("has_plugins", "template"),
    [pytest.param(False, "packer/image.pkr.hcl", id="1.6.6"), pytest.param(True, "packer", id="today's")],
)
def test_only_newer_versions_read_the_required_plugins(has_plugins: bool, template: str) -> None:
    assert build_argv(Path("/run/variables.json"), has_plugins=has_plugins) == [
        "packer",
        "build",
        "-machine-readable",
        "-color=false",
        "-var-file=/run/variables.json",
        template,
    ]


def variables_of(request: BuildRequest, **changes: Any) -> dict[str, object]:
    given: dict[str, Any] = {"strategy_plugins": "", "encrypted_root": True, **changes}
    scratch = Path("/run/scratch")
    return build_variables(request, scratch=scratch, manifest=scratch / "manifest.json", **given)


def test_the_variables() -> None:
    assert variables_of(request_in(Path("/run"))) == {
        "class_name": "api",
        "bake_key": "0123456789abcdef0123456789abcdef",
        "image_name": "api-0123456789abcdef0123456789abcdef",
        "parent_name": "base-00",
        "playbook": "playbooks/images/api.yml",
        "context": "/run/context",
        "scratch": "/run/scratch",
        "manifest": "/run/scratch/manifest.json",
        "source_ami_id": "ami-0123456789abcdef0",
        "instance_type": "t3.small",
        "region": "us-east-1",
        "endpoint_url": "http://127.0.0.1:4566",
        "subnet_id": "subnet-0123456789abcdef0",
        "security_group_id": "sg-0123456789abcdef0",
        "key_name": "slipway-run-api",
        "private_key": "/run/operator",
        "known_hosts": "/run/scratch/known_hosts",
        "user_data": "/run/user-data",
        "encrypted_root": True,
        "strategy_plugins": "",
        "tags": {"slipway:state": "candidate", "slipway:parent": "base-00"},
        "run_tags": {"slipway:run": "run", "Name": "bake-api"},
    }


def test_the_parent_is_the_source_when_no_tag_names_one() -> None:
    request = replace(request_in(Path("/run")), tags={})
    assert variables_of(request)["parent_name"] == "ami-0123456789abcdef0"


# -- output


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_recorded_output_is_understood(case: str) -> None:
    expected = yaml.safe_load((CASES / case / "expected.yaml").read_text())
    output = Output()
    lines = (CASES / case / "output.log").read_text().splitlines()
    assert [step for line in lines for step in output.read(line)] == expected["steps"]
    if "explanation" in expected:
        assert list(output.explanation()) == expected["explanation"]
        assert len(output.explanation()) <= 10


def message(text: str) -> str:
    return f"1,,ui,message,    amazon-ebs.image: {text}"


def test_a_failure_that_was_ignored_explains_nothing() -> None:
    output = Output()
    for text in ("TASK [a : Try] ****", "fatal: [api]: FAILED! =>", "    msg: harmless", "...ignoring"):
        output.read(message(text))
    for text in ("TASK [a : Do] ****", "fatal: [api]: FAILED! =>", "    msg: serious"):
        output.read(message(text))
    assert output.explanation() == ("task: a : Do", "fatal: [api]: FAILED! =>", "    msg: serious")


def test_the_start_and_the_end_of_a_long_failure_are_told() -> None:
    output = Output()
    output.read(message("TASK [a : Do] ****"))
    for text in ("fatal: [api]: FAILED! =>", *(f"    line {number}" for number in range(50))):
        output.read(message(text))
    told = output.explanation()
    assert len(told) == 10
    assert (told[0], told[2], told[-1]) == ("task: a : Do", "    line 0", "    line 49")


def test_without_any_error_the_last_lines_explain() -> None:
    output = Output()
    for number in range(20):
        output.read(message(f"line {number}"))
    assert output.explanation() == tuple(f"line {number}" for number in range(10, 20))


@pytest.mark.parametrize("line", ["", "garbage", "1,2", "1,,ui", "1,,ui,say", "1,,error-count,1", "é,é,é,é"])
def test_other_lines_are_no_steps(line: str) -> None:
    assert Output().read(line) == ()


# -- a whole build, with a program that only looks like Packer

FAKE_PACKER = """#!{python}
import json, os, sys
log = open({log!r}, "a")
variables = next((each[10:] for each in sys.argv if each.startswith("-var-file=")), None)
given = json.load(open(variables)) if variables else {{}}
entry = {{"argv": sys.argv[1:], "cwd": os.getcwd(), "environ": dict(os.environ), "variables": given}}
if variables:
    entry["mode"] = oct(os.stat(variables).st_mode & 0o777)
    entry["known_hosts"] = open(given["known_hosts"]).read()
print(json.dumps(entry), file=log)
if sys.argv[1] == "version":
    print("Packer v{version}")
elif sys.argv[1] == "build":
    print("1,,ui,say,==> amazon-ebs.image: Launching a source AWS instance...", flush=True)
    {build}
"""
SUCCEEDS = """json.dump(
        {"builds": [{"artifact_id": "us-east-1:ami-0fedcba9876543210"}]}, open(given["manifest"], "w"))"""
FAILS = 'print("1,,ui,error,==> amazon-ebs.image: Timeout waiting for SSH."); sys.exit(1)'


class Bench:
    """A fake Packer and the adapter that calls it."""

    def __init__(self, folder: Path, *, version: str = "1.6.6", build: str = SUCCEEDS) -> None:
        self.log = folder / "packer.log"
        self.folder = folder / "bin"
        self.folder.mkdir()
        program = self.folder / "packer"
        program.write_text(
            FAKE_PACKER.format(python=sys.executable, log=str(self.log), version=version, build=build)
        )
        program.chmod(0o755)
        self.steps: list[str] = []

    def packer(self, **changes: Any) -> Packer:
        environ = {
            "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}",
            "HOME": "/home/operator",
            "AWS_PROFILE": "another-account",
            "SSH_AUTH_SOCK": "/agent",
            "ANSIBLE_CONFIG": "/home/operator/ansible.cfg",
        }
        options: dict[str, Any] = {
            "environ": environ,
            "credentials": lambda: CREDENTIALS,
            "python": Path(sys.executable),
            "encrypted_root": False,
            "timeout_s": 30,
            "is_accelerated": False,
        }
        return Packer(Processes("run"), **{**options, **changes})

    def build(self, request: BuildRequest, **changes: Any) -> str:
        return self.packer(**changes).build(request, on_step=self.steps.append)

    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def small_request(tmp_path: Path) -> BuildRequest:
    """A request with no more on disk than the adapter itself looks at."""
    request = request_in(tmp_path / "a folder")
    request.context.mkdir(parents=True)
    request.known_hosts.write_text("* ssh-ed25519 AAAA\n")
    return request


def test_a_build_returns_the_ami_of_the_manifest(tmp_path: Path, small_request: BuildRequest) -> None:
    bench = Bench(tmp_path)
    assert bench.build(small_request) == "ami-0fedcba9876543210"
    assert bench.steps == ["Launching a source AWS instance"]
    version, build = bench.calls()
    assert version["argv"] == ["version"]
    assert build["argv"][:3] == ["build", "-machine-readable", "-color=false"]
    assert build["argv"][-1] == "packer/image.pkr.hcl"
    assert build["cwd"] == str(small_request.context)
    assert build["mode"] == "0o600"
    # The folder's own path holds a blank, which options of ssh can't.
    assert build["known_hosts"] == "* ssh-ed25519 AAAA\n"
    assert " " not in build["variables"]["known_hosts"]
    assert build["variables"]["encrypted_root"] is False
    assert not Path(build["variables"]["scratch"]).exists()


def test_today_s_packer_gets_its_plugins_first(tmp_path: Path, small_request: BuildRequest) -> None:
    bench = Bench(tmp_path, version="1.14.2")
    bench.build(small_request)
    assert [call["argv"][0] for call in bench.calls()] == ["version", "init", "build"]
    assert bench.calls()[-1]["argv"][-1] == "packer"


def test_packer_gets_its_environment_and_nothing_else(tmp_path: Path, small_request: BuildRequest) -> None:
    bench = Bench(tmp_path)
    bench.build(small_request)
    build = bench.calls()[-1]
    environ = build["environ"]
    assert environ.keys() - {"LC_CTYPE"} == {
        "AWS_ACCESS_KEY_ID",
        "AWS_CONFIG_FILE",
        "AWS_EC2_METADATA_DISABLED",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SHARED_CREDENTIALS_FILE",
        "CHECKPOINT_DISABLE",
        "HOME",
        "PACKER_NO_COLOR",
        "PATH",
        "SLIPWAY_CHILD",
        "SLIPWAY_RUN",
        "TMPDIR",
    }
    assert environ["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert environ["AWS_CONFIG_FILE"] == environ["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert environ["TMPDIR"] == build["variables"]["scratch"]


def test_secrets_are_in_no_argument_and_no_file(tmp_path: Path, small_request: BuildRequest) -> None:
    bench = Bench(tmp_path)
    bench.build(small_request)
    for call in bench.calls():
        assert SECRET not in json.dumps([call["argv"], call["variables"]])


def test_only_the_build_gets_credentials(tmp_path: Path, small_request: BuildRequest) -> None:
    bench = Bench(tmp_path, version="1.14.2")
    bench.build(small_request)
    assert ["AWS_SECRET_ACCESS_KEY" in call["environ"] for call in bench.calls()] == [False, False, True]


def test_a_failed_build_says_why(tmp_path: Path, small_request: BuildRequest) -> None:
    with pytest.raises(RemoteError) as caught:
        Bench(tmp_path, build=FAILS).build(small_request)
    assert caught.value.output == ("Timeout waiting for SSH.",)
    assert str(caught.value).startswith(
        "error: bake api with packer: exit code 1\n  | Timeout waiting for SSH."
    )


@pytest.mark.parametrize("build", ["pass", "open(given['manifest'], 'w').write('{\"builds\": []}')"])
def test_a_build_without_an_ami_is_a_failure(tmp_path: Path, small_request: BuildRequest, build: str) -> None:
    with pytest.raises(RemoteError, match="no manifest"):
        Bench(tmp_path, build=build).build(small_request)


def test_the_accelerator_is_used_where_it_works(tmp_path: Path, small_request: BuildRequest) -> None:
    bench = Bench(tmp_path)
    bench.build(small_request, is_accelerated=True)
    folder = Path(bench.calls()[-1]["variables"]["strategy_plugins"])
    assert (folder / "mitogen_linear.py").is_file()


def test_plain_ansible_does_where_the_accelerator_fails(tmp_path: Path, small_request: BuildRequest) -> None:
    bench = Bench(tmp_path)
    python = bench.folder / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    bench.build(small_request, is_accelerated=True, python=python)
    assert bench.calls()[-1]["variables"]["strategy_plugins"] == ""


def test_a_missing_packer_is_refused(tmp_path: Path) -> None:
    packer = Bench(tmp_path).packer(environ={"PATH": str(tmp_path / "empty")})
    with pytest.raises(Refused, match="run packer: it is not installed"):
        packer.version()


# -- the real one


@needs_packer
def test_the_version_of_the_installed_packer_is_read(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    packer = Packer(
        Processes("run"),
        environ={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        credentials=dict,
        python=tmp_path / "empty" / "python",
        encrypted_root=False,
        timeout_s=30,
    )
    assert packer.version() >= (1, 6, 6)


@needs_packer
@pytest.mark.parametrize("path", TEMPLATES)
def test_templates_are_formatted(path: str) -> None:
    done = subprocess.run(
        ["packer", "fmt", "-check", "-diff", path], cwd=PROJECT, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"")


def validate(request: BuildRequest, folder: Path, **changes: Any) -> subprocess.CompletedProcess[str]:
    variables = variables_of(request, **changes) | {
        "scratch": str(folder),
        "known_hosts": str(request.known_hosts),
    }
    file = folder / "variables.json"
    file.write_text(json.dumps(variables))
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return subprocess.run(
        ["packer", "validate", f"-var-file={file}", TEMPLATES[0]],
        cwd=request.context,
        env={"PATH": path, "HOME": str(folder), "CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@needs_packer
@pytest.mark.parametrize(
    "changes", [{}, {"encrypted_root": False, "strategy_plugins": "/mitogen"}], ids=["aws", "local"]
)
def test_the_template_is_valid_in_a_staged_context(
    request_on_disk: BuildRequest, tmp_path: Path, changes: dict[str, object]
) -> None:
    done = validate(request_on_disk, tmp_path, **changes)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_packer
def test_a_playbook_that_was_not_staged_is_noticed(request_on_disk: BuildRequest, tmp_path: Path) -> None:
    (request_on_disk.context / request_on_disk.playbook).unlink()
    done = validate(request_on_disk, tmp_path)
    assert done.returncode == 1
    assert "playbooks/images/api.yml is invalid" in done.stdout + done.stderr
