# SPDX-License-Identifier: Apache-2.0
"""environments/*.yaml and networks/*.yaml: what is read, and all that is told when they are wrong."""

from __future__ import annotations

import copy
import itertools
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from orchestrator.config.loader import keys_of, load_environment, load_network
from orchestrator.config.models import Credentials, Environment
from orchestrator.config.network import Network
from orchestrator.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[2]
CASES = PROJECT / "tests" / "cases" / "config"
ENVIRONMENTS = ("dev", "production", "qa", "sandbox", "test")
NETWORKS = ("nonproduction", "production", "sandbox")
VALID_ENVIRONMENT = {
    "network": "nonproduction",
    "region": "us-east-1",
    "account_id": "444455556666",
    "config_bucket": "a-bucket",
}
VALID_NETWORK = {
    "cidr": "10.10.0.0/16",
    "zones": ["a", "b"],
    "subnets": {
        "public": ["10.10.0.0/24", "10.10.1.0/24"],
        "application": ["10.10.16.0/20", "10.10.32.0/20"],
        "data": ["10.10.2.0/24", "10.10.3.0/24"],
    },
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the real networks and no environment."""
    shutil.copytree(PROJECT / "networks", tmp_path / "networks")
    (tmp_path / "environments").mkdir()
    return tmp_path


def cases(name: str) -> list[Any]:
    entries = yaml.safe_load((CASES / f"{name}.yaml").read_text())
    return [pytest.param(entry, id=entry["case"]) for entry in entries]


def text_of(valid: dict[str, Any], case: dict[str, Any]) -> str:
    if "given" in case:
        return str(case["given"])
    document = copy.deepcopy(valid)
    for key, value in case.get("change", {}).items():
        both_hold_keys = isinstance(value, dict) and isinstance(document.get(key), dict)
        document[key] = {**document[key], **value} if both_hold_keys else value
    for key in case.get("remove", ()):
        del document[key]
    return yaml.safe_dump(document)


@pytest.mark.parametrize("case", cases("environments"))
def test_a_wrong_environment_is_told_line_by_line(project: Path, case: dict[str, Any]) -> None:
    (project / "environments" / "broken.yaml").write_text(text_of(VALID_ENVIRONMENT, case))
    with pytest.raises(ConfigError) as caught:
        load_environment(project, "broken")
    assert list(caught.value.problems) == [f"environments/broken.yaml: {line}" for line in case["told"]]
    assert caught.value.exit_code == 3


def test_the_environment_that_cases_begin_with_is_valid(project: Path) -> None:
    (project / "environments" / "good.yaml").write_text(yaml.safe_dump(VALID_ENVIRONMENT))
    assert load_environment(project, "good").name == "good"


@pytest.mark.parametrize("case", cases("networks"))
def test_a_wrong_network_is_told_line_by_line(project: Path, case: dict[str, Any]) -> None:
    (project / "networks" / "broken.yaml").write_text(text_of(VALID_NETWORK, case))
    with pytest.raises(ConfigError) as caught:
        load_network(project, "broken")
    assert list(caught.value.problems) == [f"networks/broken.yaml: {line}" for line in case["told"]]


def test_the_errors_of_an_environment_and_of_its_network_are_told_together(project: Path) -> None:
    (project / "networks" / "broken.yaml").write_text(yaml.safe_dump(VALID_NETWORK | {"cidr": 1}))
    broken = VALID_ENVIRONMENT | {"network": "broken", "protected": "no"}
    (project / "environments" / "broken.yaml").write_text(yaml.safe_dump(broken))
    with pytest.raises(ConfigError) as caught:
        load_environment(project, "broken")
    assert caught.value.problems == (
        "environments/broken.yaml: protected: must be a valid boolean",
        "networks/broken.yaml: cidr: must be a string such as 10.0.0.0/16",
    )


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_project_s_environments_are_valid(name: str) -> None:
    environment = load_environment(PROJECT, name)
    assert environment.name == name
    assert environment.protected == (name == "production")


def test_no_environment_is_untested() -> None:
    names = {path.stem for path in (PROJECT / "environments").glob("*.yaml")}
    assert names == {*ENVIRONMENTS, "example"}


def test_only_the_sandbox_has_an_endpoint() -> None:
    with_endpoint = [name for name in ENVIRONMENTS if load_environment(PROJECT, name).endpoint_url]
    assert with_endpoint == ["sandbox"]


def test_the_sandbox_is_the_local_region() -> None:
    sandbox = load_environment(PROJECT, "sandbox")
    assert sandbox.credentials is Credentials.LOCAL
    assert sandbox.endpoint_url == "http://127.0.0.1:4566"
    assert sandbox.operator_address_url == "http://127.0.0.1:4566/_slipway/operator-address"
    assert (sandbox.network, sandbox.region, sandbox.account_id) == ("sandbox", "us-east-1", "123456789012")
    assert sandbox.config_bucket == "slipway-sandbox-config"


def missing(model: type[BaseModel], document: dict[str, Any], where: str = "") -> Iterator[str]:
    """Give the keys of the model and of those inside of it that the document leaves out."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key not in document:
            yield f"{where}{key}"
            continue
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                for each in parts_of(part, document[key]):
                    yield from missing(part, each, f"{where}{key}.")


def parts_of(model: type[BaseModel], value: Any) -> list[Any]:
    """Return what is to be read as the model: a value, each of a list, or each of a mapping by free names."""
    if isinstance(value, list):
        return value
    known = {field.alias or name for name, field in model.model_fields.items()}
    return [value] if known & set(value) else list(value.values())


EXAMPLES = [
    pytest.param("environments/example.yaml", Environment, ["name"], id="environment"),
    pytest.param("networks/example.yaml", Network, [], id="network"),
]


@pytest.mark.parametrize(("path", "model", "by_file"), EXAMPLES)
def test_the_example_names_every_key(path: str, model: type[BaseModel], by_file: list[str]) -> None:
    text = (PROJECT / path).read_text()
    assert list(missing(model, yaml.safe_load(text))) == by_file
    in_lines_of_their_own = {line.strip().removeprefix("- ").split(":")[0] for line in text.splitlines()}
    assert set(keys_of(model)) - in_lines_of_their_own == set(by_file)


@pytest.mark.parametrize(("path", "model", "by_file"), EXAMPLES)
def test_the_example_explains_every_key(path: str, model: type[BaseModel], by_file: list[str]) -> None:
    del model, by_file
    lines = (PROJECT / path).read_text().splitlines()
    for before, line in itertools.pairwise(lines):
        if line.strip() and not line.strip().startswith("#"):
            assert before.strip().startswith("#"), line


def test_the_examples_are_valid() -> None:
    assert list(load_environment(PROJECT, "example").fleets) == ["api"]
    assert load_network(PROJECT, "example").database is not None


@pytest.mark.parametrize(
    ("path", "model", "least"),
    [
        pytest.param("environments/example.yaml", Environment, VALID_ENVIRONMENT, id="environment"),
        pytest.param("networks/example.yaml", Network, VALID_NETWORK, id="network"),
    ],
)
def test_what_the_example_calls_a_default_is_the_default(
    path: str, model: type[BaseModel], least: dict[str, Any]
) -> None:
    by_file = {"name": "good"} if model is Environment else {}
    defaults = model.model_validate(least | by_file)
    told = re.findall(r"Default: ([a-z0-9.]+)\.\n([a-z0-9_]+):", (PROJECT / path).read_text())
    assert told
    for word, key in told:
        value = getattr(defaults, key)
        if word in ("none", "nobody"):
            assert not value, key
        else:
            assert str(value).lower() == word, key


def test_networks_do_not_overlap() -> None:
    networks = [load_network(PROJECT, name) for name in NETWORKS]
    assert {path.stem for path in (PROJECT / "networks").glob("*.yaml")} == {*NETWORKS, "example"}
    for one, other in itertools.combinations(networks, 2):
        assert not one.cidr.overlaps(other.cidr)
    assert [len(network.zones) for network in networks] == [4, 4, 4]


def test_an_unknown_environment_names_those_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        load_environment(PROJECT, "prod")
    assert caught.value.problems == (
        "environments/prod.yaml: does not exist; there are dev, production, qa, sandbox, test",
    )


@pytest.mark.parametrize(
    "name", ["../networks/sandbox", "/etc/passwd", "", ".", "Sandbox", "a b", "sandbox\n"]
)
def test_a_name_that_is_a_path_reads_no_file(name: str) -> None:
    with pytest.raises(ConfigError, match="is not a name; there are dev"):
        load_environment(PROJECT, name)


def test_another_port_is_taken_for_an_endpoint_on_this_machine() -> None:
    sandbox = load_environment(PROJECT, "sandbox", endpoint_port=4600)
    assert sandbox.endpoint_url == "http://127.0.0.1:4600"
    assert sandbox.operator_address_url == "http://127.0.0.1:4600/_slipway/operator-address"


def test_another_port_means_nothing_to_aws() -> None:
    assert load_environment(PROJECT, "dev", endpoint_port=4600) == load_environment(PROJECT, "dev")


def test_another_port_keeps_the_brackets_of_an_address(project: Path) -> None:
    changed = VALID_ENVIRONMENT | {"endpoint_url": "http://[::1]:1", "credentials": "local"}
    (project / "environments" / "six.yaml").write_text(yaml.safe_dump(changed))
    assert load_environment(project, "six", endpoint_port=2).endpoint_url == "http://[::1]:2"


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(ConfigError, match="between 1 and 65535"):
        load_environment(PROJECT, "sandbox", endpoint_port=port)


def test_aliases_do_not_multiply(project: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (project / "environments" / "bomb.yaml").write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="a0: unknown key"):
        load_environment(project, "bomb")
