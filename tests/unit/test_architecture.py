# SPDX-License-Identifier: Apache-2.0
"""The direction of imports, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
ORCHESTRATOR = PROJECT / "orchestrator"
SANDBOX = PROJECT / "sandbox"
MODULE_LIMIT = 400
FUNCTION_LIMIT = 50

# library -> where it may be imported
HOMES = {
    "boto3": ("orchestrator/aws/",),
    "botocore": ("orchestrator/aws/",),
    "paramiko": ("orchestrator/ssh/",),
    "asyncssh": ("orchestrator/ssh/",),
    "sshtunnel": ("orchestrator/ssh/",),
    # probe.py is sent to another machine and runs there on its own.
    "subprocess": ("orchestrator/tools/process.py", "orchestrator/probe/probe.py"),
    "rich": ("orchestrator/console/",),
    "invoke": ("orchestrator/cli.py",),
    "moto": (),
    # troposphere is slow to import: only what joins everything names the stacks, when it needs them.
    "stacks": ("orchestrator/cli.py",),
    "troposphere": (),
}
# package -> what of orchestrator it may not import
FORBIDDEN = {
    "domain": ("config", "workflows", "aws", "ssh", "tools", "console", "cli", "commands", "ports", "clock"),
    "workflows": ("aws", "ssh", "tools", "console", "cli", "commands"),
    "config": ("workflows", "aws", "ssh", "tools", "console", "cli", "commands"),
    "aws": ("workflows", "ssh", "tools", "console", "cli", "commands", "config"),
    "ssh": ("workflows", "aws", "tools", "console", "cli", "commands", "config"),
    "tools": ("workflows", "aws", "ssh", "console", "cli", "commands", "config"),
}


def modules(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.py"))
    assert found, folder
    return found


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            yield node.module


def relative(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_only_at_its_home(library: str) -> None:
    strangers = [
        relative(path)
        for path in modules(ORCHESTRATOR)
        if any(name.split(".")[0] == library for name in imports(path))
        and not relative(path).startswith(HOMES[library] or ("none",))
    ]
    assert strangers == []


@pytest.mark.parametrize("package", FORBIDDEN)
def test_packages_depend_in_one_direction(package: str) -> None:
    wrong = [
        f"{relative(path)} imports {name}"
        for path in modules(ORCHESTRATOR / package)
        for name in imports(path)
        if name.startswith(tuple(f"orchestrator.{other}" for other in FORBIDDEN[package]))
    ]
    assert wrong == []


def test_the_domain_imports_the_standard_library_and_errors_only() -> None:
    third_party = ("pydantic", "yaml", "rich", "boto3", "paramiko", "invoke")
    wrong = [
        f"{relative(path)} imports {name}"
        for path in modules(ORCHESTRATOR / "domain")
        for name in imports(path)
        if name.split(".")[0] in third_party
    ]
    assert wrong == []


def test_the_region_knows_nothing_of_the_orchestrator_and_only_its_commands_of_the_region() -> None:
    from_region = [
        relative(p) for p in modules(SANDBOX) if any(n.startswith("orchestrator") for n in imports(p))
    ]
    into_region = [
        relative(p) for p in modules(ORCHESTRATOR) if any(n.split(".")[0] == "sandbox" for n in imports(p))
    ]
    assert from_region == []
    assert into_region == ["orchestrator/commands/region.py"]


def names_read(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


@pytest.mark.parametrize(
    ("name", "homes"),
    [
        ("os.environ", ("orchestrator/cli.py",)),
        ("sys.exit", ()),
        ("time.sleep", ("orchestrator/clock.py",)),
    ],
)
def test_a_name_is_used_only_at_its_home(name: str, homes: tuple[str, ...]) -> None:
    assert [
        relative(p) for p in modules(ORCHESTRATOR) if name in names_read(p) and relative(p) not in homes
    ] == []


def test_only_cli_catches_everything() -> None:
    catchers = [
        relative(path)
        for path in modules(ORCHESTRATOR)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception"))
    ]
    assert set(catchers) <= {"orchestrator/cli.py"}


def test_modules_and_functions_fit_a_reader() -> None:
    too_long = [
        relative(p)
        for p in modules(ORCHESTRATOR) + modules(SANDBOX)
        if len(p.read_text().splitlines()) > MODULE_LIMIT
    ]
    for path in modules(ORCHESTRATOR) + modules(SANDBOX):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LIMIT:
                    too_long.append(f"{relative(path)}:{node.lineno} {node.name} has {length} lines")
    assert too_long == []
