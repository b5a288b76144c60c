# SPDX-License-Identifier: Apache-2.0
"""Read a YAML file into its model, or say everything that is wrong with it, one line an error."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from orchestrator.config.models import Environment
from orchestrator.config.network import Network
from orchestrator.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)

# libyaml's, where PyYAML was built with it: ten times as fast.
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_EXAMPLE = "example"
_MAX_PORT = 65535


def load_environment(project: Path, name: str, *, endpoint_port: int | None = None) -> Environment:
    """Return the environment of that name.

    Args:
        endpoint_port: Replaces the port of an endpoint on this machine, for a second checkout's region.

    Raises:
        ConfigError: There is no such environment, or its file or its network's is wrong.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"environment {name!r}", (f"environment {name!r}: is not a name{_known(project)}",))
    if endpoint_port is not None and not 0 < endpoint_port <= _MAX_PORT:
        raise ConfigError(
            "endpoint port", (f"endpoint port: {endpoint_port} is not between 1 and {_MAX_PORT}",)
        )
    path = f"environments/{name}.yaml"
    if not (project / path).is_file():
        raise ConfigError(path, (f"{path}: does not exist{_known(project)}",))
    document, problems = read_document(project, path)
    if isinstance(document, dict) and "name" in document:
        problems.append(f"{path}: name: unknown key, an environment's name is that of its file")
    environment, more = validate(Environment, path, _with_name(document, name))
    problems += [*more, *_network_problems(project, path, document)]
    if problems or environment is None:
        raise ConfigError(path, tuple(problems))
    return environment if endpoint_port is None else environment.with_endpoint_port(endpoint_port)


def load_network(project: Path, name: str) -> Network:
    """Return the network of networks/<name>.yaml, or raise ConfigError."""
    path = f"networks/{name}.yaml"
    if not _NAME.fullmatch(name) or not (project / path).is_file():
        raise ConfigError(path, (f"{path}: does not exist",))
    document, problems = read_document(project, path)
    network, more = validate(Network, path, document)
    problems += more
    if problems or network is None:
        raise ConfigError(path, tuple(problems))
    return network


def _network_problems(project: Path, path: str, document: object) -> list[str]:
    name = document.get("network") if isinstance(document, dict) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return []  # said by the model
    if not (project / "networks" / f"{name}.yaml").is_file():
        return [f"{path}: network: networks/{name}.yaml does not exist"]
    try:
        load_network(project, name)
    except ConfigError as error:
        return list(error.problems)
    return []


def _known(project: Path) -> str:
    names = sorted(path.stem for path in (project / "environments").glob("*.yaml"))
    return f"; there are {', '.join(name for name in names if name != _EXAMPLE)}" if names else ""


def _with_name(document: object, name: str) -> object:
    return {**document, "name": name} if isinstance(document, dict) else document


def read_document(project: Path, path: str) -> tuple[object, list[str]]:
    """Return what a YAML file holds, and the errors of its syntax: a key that is there twice is one."""
    try:
        text = (project / path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        return None, [f"{path}: can't be read ({exc})"]
    return parse(text, path)


def parse(text: str, path: str) -> tuple[object, list[str]]:
    """Return what YAML text holds, and the errors of its syntax."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, [f"{path}: is empty"]
        problems = [f"{path}: {problem}" for problem in _duplicates(node, (), set())]
        return loader.construct_document(node), problems
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 0
        return None, [f"{path}: line {line}: {exc.problem or exc.context}"]
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        return None, [f"{path}: {exc}".splitlines()[0]]
    finally:
        loader.dispose()


def _duplicates(node: yaml.Node, where: tuple[str, ...], visited: set[int]) -> Iterator[str]:
    if id(node) in visited:  # an alias
        return
    visited.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _duplicates(item, (*where, str(index)), visited)
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            name = str(key.value)
            line = key.start_mark.line + 1
            here = (*where, name)
            if name in seen:
                yield f"{'.'.join(here)}: is there twice, in lines {seen[name]} and {line}"
            seen.setdefault(name, line)
            yield from _duplicates(value, here, visited)


def validate(model: type[Model], path: str, document: object) -> tuple[Model | None, list[str]]:
    """Return the document as its model, and every error of its shape as `path: a.b: message`."""
    if document is None:  # said by the parser
        return None, []
    if not isinstance(document, dict):
        return None, [f"{path}: must hold keys and values"]
    try:
        return model.model_validate(document), []
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_context=False)
        return None, [f"{path}: {_message(model, error)}" for error in errors]


def _message(model: type[BaseModel], error: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    return f"{where}: {_text(model, error)}"


def _text(model: type[BaseModel], error: Mapping[str, Any]) -> str:
    known = {"missing": "is missing", "string_type": "must be a string, in quotes where it is a number"}
    kind = error["type"]
    if kind == "extra_forbidden":
        key = str(error["loc"][-1])
        near = difflib.get_close_matches(key, sorted(set(keys_of(model))), n=1)
        return "unknown key" + (f", did you mean {near[0]}?" if near else "")
    message = str(error["msg"]).removeprefix("Value error, ")
    return known.get(kind) or re.sub(r"^(Input|String|Tuple|Value) should ", "must ", message)


def keys_of(model: type[BaseModel]) -> Iterator[str]:
    """Give every key that the model and those inside of it know."""
    for name, field in model.model_fields.items():
        yield field.alias or name
        for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from keys_of(part)
