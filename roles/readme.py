# SPDX-License-Identifier: Apache-2.0
"""Write each role's README.md from its argument specification.

The specification is what Ansible checks a role's variables against, so it can't be out of date; a README
that differs from it fails a unit test. `write_all(Path("roles"))` brings them up to date.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

WIDEST_DEFAULT = 60

FRAME = """\
# {name}

{purpose}

{description}

{variables}

## Example

```yaml
{example}
```

## Test

From this directory, with the environment that `./inv` made: `../../.venv/bin/molecule test`

Made from meta/argument_specs.yml; `./inv docs` makes it anew.
"""


def role_directories(roles: Path) -> list[Path]:
    """Return the directories of all roles, by name."""
    return sorted(path.parent.parent for path in roles.glob("*/meta/argument_specs.yml"))


def render(role: Path) -> str:
    """Return what the role's README.md has to say."""
    spec = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"][
        "main"
    ]
    options: dict[str, dict[str, Any]] = spec["options"]
    return FRAME.format(
        name=role.name,
        purpose=spec["short_description"],
        description="\n".join(marked(paragraph) for paragraph in spec["description"]),
        variables=table(options) if options else "It has no variables.",
        example=example(role.name, options),
    )


def table(options: dict[str, dict[str, Any]]) -> str:
    """Return the table of a role's variables."""
    rows = ["| variable | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, option in options.items():
        kind = f"{option['type']} of {option['elements']}" if "elements" in option else option["type"]
        rows.append(f"| `{name}` | {kind} | {shown(option)} | {meaning(option)} |")
    return "## Variables\n\n" + "\n".join(rows)


def shown(option: dict[str, Any]) -> str:
    """Return a default as it fits into a cell; long ones are in defaults/main.yml, where they can be read."""
    if "default" not in option:
        return "from the bake"
    text = json.dumps(option["default"], ensure_ascii=False)
    return f"`{text}`" if len(text) <= WIDEST_DEFAULT else "[see](defaults/main.yml)"


def meaning(option: dict[str, Any]) -> str:
    """Return what an option means, with its choices."""
    choices = ", ".join(f"`{choice}`" for choice in option.get("choices", ()))
    return marked(option["description"]) + (f" One of {choices}." if choices else "")


def marked(text: str) -> str:
    """Return Ansible's markup of code as Markdown's, and bars that don't end a cell."""
    return (
        text.replace("C(", "`").replace(")", "`", 1).replace("|", "\\|")
        if "C(" in text
        else text.replace("|", "\\|")
    )


def example(name: str, options: dict[str, dict[str, Any]]) -> str:
    """Return a play that uses the role, with the first variable that is short enough to show."""
    play = ["- hosts: all", "  become: true", "  roles:", f"    - role: {name}"]
    for variable, option in options.items():
        if option["type"] in {"str", "int", "bool", "path"} and "\n" not in str(option.get("default", "\n")):
            return "\n".join([*play, "      vars:", f"        {variable}: {json.dumps(option['default'])}"])
    return "\n".join(play)


def write_all(roles: Path) -> list[Path]:
    """Write every README that is missing or out of date, and return those."""
    stale = [role for role in role_directories(roles) if not is_current(role)]
    for role in stale:
        (role / "README.md").write_text(render(role), encoding="utf-8")
    return [role / "README.md" for role in stale]


def is_current(role: Path) -> bool:
    """Tell whether a role's README says what its specification says."""
    readme = role / "README.md"
    return readme.exists() and readme.read_text(encoding="utf-8") == render(role)
