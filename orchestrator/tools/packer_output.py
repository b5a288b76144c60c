# SPDX-License-Identifier: Apache-2.0
"""What Packer's machine-readable output means: the step it is at, and why it failed.

A line is `timestamp,target,type,data...`; Ansible's own output comes inside of Packer's `ui` lines.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable

LINES_OF_AN_ERROR = 10
_PLAIN = (("%!(PACKER_COMMA)", ","), ("\\n", "\n"), ("\\r", ""))
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
# `==> amazon-ebs.image: Text`, `    amazon-ebs.image: text`, `Build 'amazon-ebs.image' errored...`
_PREFIX = re.compile(r"^(?:==> | {4})?[a-z-]+\.[a-z_]+: ?")
_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(?P<name>.*)\] \*+$")
# Where Ansible's account of a failure begins and ends.
_FAILURE = re.compile(r"^(?:\[ERROR\]|fatal: |ERROR! |failed: )")
_END_OF_FAILURE = re.compile(r"^(?:PLAY RECAP|TASK |RUNNING HANDLER |PLAY )")
# An excerpt of the role's file, and fields that say nothing.
_NOISE = re.compile(r"^(?:Origin: |\^ column|\d+ |<<< caused by >>>|changed: |unreachable: |\s*$)")
_STEP_NOISE = re.compile(
    r"Executing Ansible:|Prevalidating|Using existing SSH private key|Provisioning with shell|Adding tags to "
    r"source|Using ssh communicator|No volumes|Running post-processor|Wait completed|Provisioning step"
    r"|Builds finished|Build '|[=-]|.*: ami-"
)
# Ansible checks a role's variables by itself; that is no task of ours.
_OWN_TASKS = " : Validating arguments against arg spec"


class Output:
    """Reads Packer's lines as they come."""

    def __init__(self) -> None:
        self.task = ""
        self._failure: list[str] = []
        self._failed_task = ""
        self._is_in_failure = False
        self._errors: list[str] = []
        self._last: deque[str] = deque(maxlen=LINES_OF_AN_ERROR)

    def read(self, line: str) -> tuple[str, ...]:
        """Take one line of output; return the steps that begin with it."""
        fields = line.split(",", 3)
        if len(fields) != 4 or fields[2] != "ui":  # noqa: PLR2004 - the three fields and the data
            return ()
        kind, _, data = fields[3].partition(",")
        steps = []
        for text in _texts(data):
            step = self._take(kind, text)
            if step:
                steps.append(step)
        return tuple(steps)

    def explanation(self) -> tuple[str, ...]:
        """Return why it failed: the task and its messages if it was Ansible, then Packer's own errors."""
        packer = list(dict.fromkeys(self._errors))
        lines = [*self._of_task(), *packer] or [line for line in self._last if line.strip()]
        if len(lines) > LINES_OF_AN_ERROR:  # the beginning says what, the end says how it ended
            lines = [*lines[: LINES_OF_AN_ERROR - 1], lines[-1]]
        return tuple(lines)

    def _of_task(self) -> Iterable[str]:
        if self._failure and self._failed_task:
            yield f"task: {self._failed_task}"
        yield from dict.fromkeys(line for line in self._failure if not _NOISE.match(line.strip()))

    def _take(self, kind: str, text: str) -> str:
        self._last.append(text)
        task = _TASK.match(text)
        if task:
            self.task, self._is_in_failure = task["name"], False
            # Handlers are skipped in a bake, and named nevertheless.
            return "" if _OWN_TASKS in task["name"] or text.startswith("RUNNING") else task["name"]
        if kind == "error":
            self._take_error(text)
        elif _FAILURE.match(text):
            self._begin_failure(text)
        elif text.strip() == "...ignoring":
            self._failure.clear()
        elif _END_OF_FAILURE.match(text):
            self._is_in_failure = False
        elif self._is_in_failure:
            self._failure.append(text)
        return _step(text) if kind == "say" else ""

    def _begin_failure(self, text: str) -> None:
        if self.task != self._failed_task:  # an earlier one was rescued
            self._failure.clear()
        self._is_in_failure, self._failed_task = True, self.task
        self._failure.append(text)

    def _take_error(self, text: str) -> None:
        if text.strip() and not text.startswith(("Build '", "==> Some builds", "--> ")):
            self._errors.append(text.strip())


def _texts(data: str) -> Iterable[str]:
    for escaped, plain in _PLAIN:
        data = data.replace(escaped, plain)
    for text in _COLOR.sub("", data).split("\n"):
        yield _PREFIX.sub("", text.rstrip())


def _step(text: str) -> str:
    text = text.strip()
    return "" if not text or text.endswith(":") or _STEP_NOISE.match(text) else text.rstrip(".")
