# SPDX-License-Identifier: Apache-2.0
"""Read packer/images.yaml: the server classes, their checks, and what each is made of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from orchestrator.config.loader import read_document, validate
from orchestrator.config.tree import PART, ProjectTree
from orchestrator.domain.closure import derive
from orchestrator.domain.image_graph import (
    IMAGES_PATH,
    ImageCheck,
    ImageClass,
    ImageGraph,
    ImageSource,
    graph_problems,
)
from orchestrator.errors import ConfigError

__all__ = ["ImageCheck", "ImageClass", "ImageGraph", "ImageSource", "closure", "load_graph"]

LOCK_PATH = "requirements.lock"
# What decides an image's contents. Others of the lock, mitogen among them, don't change what a task does.
_DECISIVE = re.compile(r"^(?:ansible|ansible-core)==\S+", re.MULTILINE)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)


class _Source(_Model):
    # Always an owner: anybody can publish an image by any name.
    owner: Annotated[str, Field(pattern=r"^[0-9]{12}$")]
    name: Annotated[str, Field(min_length=1)]


class _Check(_Model):
    name: Annotated[str, Field(min_length=1)]
    command: Annotated[str, Field(min_length=1)]


class _Class(_Model):
    playbook: Annotated[str, Field(pattern=r"^playbooks/images/[a-z0-9_-]+\.yml$")]
    parent: str | None = None
    source: _Source | None = None
    checks: Annotated[
        tuple[_Check, ...], BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
    ] = ()


_ClassName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]


class _Images(_Model):
    classes: Annotated[dict[_ClassName, _Class], Field(min_length=1)]


def load_graph(project: Path) -> ImageGraph:
    """Return the classes of the project.

    Raises:
        ConfigError: With everything that is wrong with the file and with what its classes are made of.
    """
    if not (project / IMAGES_PATH).is_file():
        raise ConfigError(IMAGES_PATH, (f"{IMAGES_PATH}: does not exist",))
    document, problems = read_document(project, IMAGES_PATH)
    images, more = validate(_Images, IMAGES_PATH, document)
    problems += more
    if images is None:
        raise ConfigError(IMAGES_PATH, tuple(problems))
    classes = {name: _image_class(name, entry) for name, entry in images.classes.items()}
    told = [*graph_problems(classes), *_closure_problems(project, classes)]
    problems += [f"{IMAGES_PATH}: classes.{name}: {text}" for name, text in told]
    if problems:
        raise ConfigError(IMAGES_PATH, tuple(problems))
    return ImageGraph(classes)


def closure(project: Path, image_class: ImageClass, *, tree: ProjectTree | None = None) -> Mapping[str, str]:
    """Return what a class is made of, as path -> fingerprint; names with a `#` stand for a part of a file.

    Args:
        tree: Shares what was read between the closures of several classes.
    """
    files, problems = derive(tree or ProjectTree(project), image_class.playbook, _facts(project, image_class))
    if problems:
        told = (f"{IMAGES_PATH}: classes.{image_class.name}: {problem}" for problem in problems)
        raise ConfigError(IMAGES_PATH, tuple(told))
    return files


def _closure_problems(project: Path, classes: Mapping[str, ImageClass]) -> Iterator[tuple[str, str]]:
    tree = ProjectTree(project)
    if not _locked(project):
        yield min(classes), f"{LOCK_PATH} names no version of ansible"
    for name, image_class in classes.items():
        for problem in derive(tree, image_class.playbook, {})[1]:
            yield name, problem


def _facts(project: Path, image_class: ImageClass) -> Mapping[str, bytes]:
    entry = {
        "playbook": image_class.playbook,
        "parent": image_class.parent,
        "source": image_class.source and [image_class.source.owner, image_class.source.name],
        "checks": [[check.name, check.command] for check in image_class.checks],
    }
    return {
        f"{IMAGES_PATH}{PART}{image_class.name}": json.dumps(entry, sort_keys=True).encode(),
        f"{LOCK_PATH}{PART}ansible": _locked(project).encode(),
    }


def _locked(project: Path) -> str:
    path = project / LOCK_PATH
    return "\n".join(sorted(_DECISIVE.findall(path.read_text("utf-8")))) if path.is_file() else ""


def _image_class(name: str, entry: _Class) -> ImageClass:
    return ImageClass(
        name=name,
        playbook=entry.playbook,
        parent=entry.parent,
        source=ImageSource(entry.source.owner, entry.source.name) if entry.source else None,
        checks=tuple(ImageCheck(check.name, check.command) for check in entry.checks),
    )
