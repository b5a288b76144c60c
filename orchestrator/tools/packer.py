# SPDX-License-Identifier: Apache-2.0
"""Bake a candidate image with Packer, of any version since 1.6.6."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from orchestrator.domain.image import PARENT_TAG
from orchestrator.errors import RemoteError
from orchestrator.ports import BuildRequest, StepSink
from orchestrator.tools.packer_output import LINES_OF_AN_ERROR, Output
from orchestrator.tools.process import Processes

TEMPLATE = "packer/image.pkr.hcl"
# Read as a folder, the required plugins beside the template count; older versions don't know that block.
_FIRST_WITH_PLUGINS = (1, 7)
_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)")
_SHORT_S, _PLUGINS_S = 60.0, 600.0
# What is handed on of the operator's own environment; nothing of AWS, ssh or Ansible is.
_HANDED_ON = (
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
)


class Packer:
    """Builds candidate images; implements the Builder port."""

    def __init__(  # noqa: PLR0913 - what the environment and this host decide
        self,
        processes: Processes,
        *,
        environ: Mapping[str, str],
        credentials: Callable[[], Mapping[str, str]],
        python: Path,
        encrypted_root: bool,
        timeout_s: float,
        is_accelerated: bool = True,
    ) -> None:
        """
        Args:
            environ: The operator's environment.
            credentials: Returns AWS_ACCESS_KEY_ID and its companions, asked once a build.
            python: The interpreter beside which ansible-playbook is installed.
            timeout_s: The most that one build may take.
            is_accelerated: Use mitogen where it is installed and works.
        """
        self._processes = processes
        self._environ = environ
        self._credentials = credentials
        self._python = python
        self._encrypted_root = encrypted_root
        self._timeout_s = timeout_s
        self._is_accelerated = is_accelerated

    def version(self) -> tuple[int, int, int]:
        """Return Packer's version."""
        done = self._run(version_argv(), cwd=Path("/"), timeout_s=_SHORT_S)
        found = _VERSION.search(done)
        if not found:
            raise RemoteError("packer version", status=0, output=tuple(done.splitlines()[:LINES_OF_AN_ERROR]))
        return int(found[1]), int(found[2]), int(found[3])

    def build(self, request: BuildRequest, *, on_step: StepSink) -> str:
        """Build a candidate image and return its AMI id.

        Raises:
            RemoteError: Packer or Ansible failed; its output names the task and the reason.
        """
        has_plugins = self.version()[:2] >= _FIRST_WITH_PLUGINS
        if has_plugins:
            self._run(init_argv(), cwd=request.context, timeout_s=_PLUGINS_S)
        with self._processes.scratch() as scratch:
            shutil.copy(request.known_hosts, scratch / "known_hosts")
            manifest = scratch / "manifest.json"
            variables = build_variables(
                request,
                scratch=scratch,
                manifest=manifest,
                strategy_plugins=self._strategy_plugins(),
                encrypted_root=self._encrypted_root,
            )
            variables_file = scratch / "variables.json"
            variables_file.touch(mode=0o600)
            variables_file.write_text(json.dumps(variables), "utf-8")
            self._build(request, build_argv(variables_file, has_plugins=has_plugins), scratch, on_step)
            return _built_ami(manifest, request.class_name)

    def _build(self, request: BuildRequest, argv: Sequence[str], scratch: Path, on_step: StepSink) -> None:
        output = Output()

        def on_line(line: str) -> None:
            for step in output.read(line):
                on_step(step)

        environ = self._own_environ() | dict(self._credentials()) | {"TMPDIR": str(scratch)}
        done = self._processes.run(
            argv, cwd=request.context, environ=environ, timeout_s=self._timeout_s, on_line=on_line
        )
        if done.status != 0:
            reasons = output.explanation() or tuple(done.stderr.splitlines()[-LINES_OF_AN_ERROR:])
            raise RemoteError(f"bake {request.class_name} with packer", status=done.status, output=reasons)

    def _own_environ(self) -> dict[str, str]:
        handed_on = {name: self._environ[name] for name in _HANDED_ON if name in self._environ}
        path = os.pathsep.join((str(self._python.parent), handed_on.get("PATH", os.defpath)))
        return handed_on | {
            "PATH": path,
            "CHECKPOINT_DISABLE": "1",
            "PACKER_NO_COLOR": "1",
            # Only the credentials we give: no file, no metadata service.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _run(self, argv: Sequence[str], *, cwd: Path, timeout_s: float) -> str:
        done = self._processes.run(argv, cwd=cwd, environ=self._own_environ(), timeout_s=timeout_s)
        if done.status != 0:
            lines = f"{done.stdout}\n{done.stderr}".strip().splitlines()
            raise RemoteError(
                " ".join(argv[:2]), status=done.status, output=tuple(lines[-LINES_OF_AN_ERROR:])
            )
        return done.stdout

    def _strategy_plugins(self) -> str:
        """Return the folder of mitogen's strategies, or nothing when plain Ansible has to do."""
        found = importlib.util.find_spec("ansible_mitogen") if self._is_accelerated else None
        if found is None or not found.submodule_search_locations:
            return ""
        # It may be there and yet refuse this version of Ansible; only loading it tells.
        argv = [str(self._python), "-c", "import ansible_mitogen.loaders, ansible_mitogen.strategy"]
        done = self._processes.run(argv, cwd=Path("/"), environ=self._own_environ(), timeout_s=_SHORT_S)
        return (
            str(Path(found.submodule_search_locations[0], "plugins", "strategy")) if done.status == 0 else ""
        )


def version_argv() -> list[str]:
    """Return the command that prints Packer's version."""
    return ["packer", "version"]


def init_argv() -> list[str]:
    """Return the command that installs the plugins the template asks for."""
    return ["packer", "init", str(Path(TEMPLATE).parent)]


def build_argv(variables_file: Path, *, has_plugins: bool) -> list[str]:
    """Return the command that bakes the template in the working directory."""
    template = str(Path(TEMPLATE).parent) if has_plugins else TEMPLATE
    return ["packer", "build", "-machine-readable", "-color=false", f"-var-file={variables_file}", template]


def build_variables(
    request: BuildRequest, *, scratch: Path, manifest: Path, strategy_plugins: str, encrypted_root: bool
) -> dict[str, object]:
    """Return the template's variables."""
    return {
        "class_name": request.class_name,
        "bake_key": request.bake_key,
        "image_name": request.image_name,
        "parent_name": request.tags.get(PARENT_TAG, request.source_ami_id),
        "playbook": request.playbook,
        "context": str(request.context),
        "scratch": str(scratch),
        "manifest": str(manifest),
        "source_ami_id": request.source_ami_id,
        "instance_type": request.instance_type,
        "region": request.region,
        "endpoint_url": request.endpoint_url,
        "subnet_id": request.subnet_id,
        "security_group_id": request.security_group_id,
        "key_name": request.key_name,
        "private_key": str(request.private_key),
        "known_hosts": str(scratch / "known_hosts"),
        "user_data": str(request.user_data),
        "encrypted_root": encrypted_root,
        "strategy_plugins": strategy_plugins,
        "tags": dict(request.tags),
        "run_tags": dict(request.run_tags),
    }


def _built_ami(manifest: Path, class_name: str) -> str:
    """Return the AMI id of the manifest: one build, artifact `region:ami`."""
    try:
        artifact = json.loads(manifest.read_text("utf-8"))["builds"][-1]["artifact_id"]
    except (OSError, ValueError, LookupError) as exc:
        raise RemoteError(
            f"bake {class_name} with packer", status=0, output=(f"no manifest: {exc}",)
        ) from exc
    return str(artifact).rpartition(":")[2]
