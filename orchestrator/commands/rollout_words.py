# SPDX-License-Identifier: Apache-2.0
"""What an operator types to say which fleets are meant, and how it is typed again. Quick to import."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.errors import ConfigError

DEFAULT_ENVIRONMENT = "sandbox"
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html: 8 hexadecimal digits, or 17.
_AMI_ID = re.compile(r"ami-(?:[0-9a-f]{8}|[0-9a-f]{17})")


@dataclass(frozen=True, slots=True)
class RolloutWords:
    """What was typed. `environment` is empty when it was left out."""

    environment: str = ""
    fleet: str = ""
    is_all: bool = False
    is_wave: bool = False
    ami_id: str = ""
    is_optimised: bool = False
    as_json: bool = False

    @property
    def environment_name(self) -> str:
        """Return the environment that is meant when they do not go through all of them."""
        return self.environment or DEFAULT_ENVIRONMENT

    def typed(self, verb: str) -> str:
        """Return a command with these words, so that it can be typed again."""
        said = [f"invoke {verb}"]
        said += [] if self.is_wave else [f"--environment {self.environment_name}"]
        said += [f"--fleet {self.fleet}"] if self.fleet else []
        said += ["--all"] if self.is_all else []
        said += ["--wave"] if self.is_wave else []
        said += [f"--ami {self.ami_id}"] if self.ami_id else []
        return " ".join(said)

    def check(self, verb: str, fleets: Iterable[str]) -> None:
        """Refuse words that say nothing or contradict each other, before anything is called.

        Args:
            verb: `rollout`, `rollout.pause` ..., for the message and for the command that helps.
            fleets: The fleets that there are, for the command that helps.

        Raises:
            ConfigError: Not one of --fleet and --all, --wave with an --environment, or an AMI that is none.
        """
        problems = [*self._problems(verb)]
        if problems:
            fleet = self.fleet or next(iter(sorted(fleets)), "FLEET")
            again = f"invoke {verb} --environment {self.environment_name} --fleet {fleet}"
            if self.is_wave:
                again = "invoke rollout --wave --all --dry-run"
            raise ConfigError(verb, tuple(problems), next_command=again)

    @property
    def are_several(self) -> bool:
        """Tell whether they mean more than one fleet of one environment."""
        return self.is_all or self.is_wave

    def _problems(self, verb: str) -> Iterable[str]:
        takes_all = verb == "rollout"
        if self.fleet and self.is_all:
            yield f"{verb}: --fleet and --all exclude each other"
        if not self.fleet and not self.is_all:
            yield f"{verb}: {'name one of --fleet and --all' if takes_all else '--fleet is missing'}"
        if self.is_wave and self.environment:
            yield f"{verb}: --wave goes through the environments; it and --environment exclude each other"
        if self.is_optimised and self.are_several:
            yield f"{verb}: --optimise proposes for one fleet; it and --all or --wave exclude each other"
        if self.ami_id and self.is_all:
            yield f"{verb}: --ami is an image of one class; it and --all exclude each other"
        if self.ami_id and not _AMI_ID.fullmatch(self.ami_id):
            yield f"{verb}: ami {self.ami_id!r}: is not an AMI's id, which is ami- and 17 hexadecimal digits"
