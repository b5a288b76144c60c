# SPDX-License-Identifier: Apache-2.0
"""Run a function once: its code in a process of its own, with the runtime's packages and no others."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from sandbox.lambdas.function import Function

_RUNTIME = Path(__file__).with_name("runtime.py")
# What AWS's Python runtimes bring along: https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html
_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: the answer's JSON or the error's, and what it logged."""

    payload: str
    is_error: bool
    log: str


class Runner:
    """Runs functions. Unpacked code is kept by its hash, below `folder`."""

    def __init__(self, folder: Path | None) -> None:
        self._own = None if folder else tempfile.TemporaryDirectory(prefix="slipway-lambda-")
        self._folder = folder or Path(self._own.name if self._own else "")
        self._making = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()

    def close(self) -> None:
        """Kill what runs."""
        for process in list(self._running):
            _kill(process)
        if self._own is not None:
            self._own.cleanup()

    def run(
        self, function: Function, event: str, *, request_id: str, stream: str, environ: Mapping[str, str]
    ) -> Outcome:
        """Run the function to its end, or to its timeout."""
        code, packages = self._unpacked(function), self._packages()
        reading, writing = os.pipe()
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and script
            [sys.executable, "-I", "-S", str(_RUNTIME), str(writing)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=code,
            env=_environ(function, request_id, stream, code, packages) | dict(environ),
            pass_fds=(writing,),
            start_new_session=True,
        )
        os.close(writing)
        self._running.add(process)
        try:
            return _attend(process, reading, function, event, request_id)
        finally:
            self._running.discard(process)
            os.close(reading)

    def _unpacked(self, function: Function) -> Path:
        target = self._folder / "code" / function.code_sha256.replace("/", "_").replace("+", "-")
        with self._making:
            if not target.exists():
                made = target.with_suffix(".new")
                shutil.rmtree(made, ignore_errors=True)
                with zipfile.ZipFile(BytesIO(function.code)) as archive:
                    archive.extractall(made)
                made.rename(target)
        return target

    def _packages(self) -> Path:
        """Return a folder with the runtime's packages: a function finds nothing else of this project's."""
        target = self._folder / "packages"
        with self._making:
            if not target.exists():
                made = target.with_suffix(".new")
                shutil.rmtree(made, ignore_errors=True)
                made.mkdir(parents=True)
                for name in _PACKAGES:
                    origin = importlib.util.find_spec(name)
                    if origin is not None and origin.origin:
                        source = Path(origin.origin)
                        source = source.parent if source.name == "__init__.py" else source
                        (made / source.name).symlink_to(source)
                made.rename(target)
        return target


def _environ(function: Function, request_id: str, stream: str, code: Path, packages: Path) -> dict[str, str]:
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": function.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": stream,
        "AWS_EXECUTION_ENV": "AWS_Lambda_python",
        "LAMBDA_TASK_ROOT": str(code),
        "_HANDLER": function.handler,
        "_REQUEST_ID": request_id,
        "_FUNCTION_ARN": function.arn,
        "_TIMEOUT_S": str(function.timeout_s),
        "_RUNTIME_PACKAGES": str(packages),
        **function.environment,
    }


def _attend(
    process: subprocess.Popen[bytes], reading: int, function: Function, event: str, request_id: str
) -> Outcome:
    answers: list[bytes] = []
    reader = threading.Thread(target=_drain, args=(reading, answers), daemon=True)
    reader.start()
    try:
        log, _ = process.communicate(event.encode(), timeout=function.timeout_s)
    except subprocess.TimeoutExpired:
        _kill(process)
        log, _ = process.communicate()
        reader.join()
        message = f"{request_id} Task timed out after {function.timeout_s:.2f} seconds"
        return Outcome(json.dumps({"errorMessage": message}), is_error=True, log=_text(log) + message)
    _kill(process)  # whatever it left running in its session
    reader.join()
    return _outcome(b"".join(answers), _text(log), process.returncode, request_id)


def _drain(descriptor: int, pieces: list[bytes]) -> None:
    while piece := os.read(descriptor, 65536):
        pieces.append(piece)


def _outcome(answer: bytes, log: str, status: int, request_id: str) -> Outcome:
    if not answer:
        ending = f"signal: {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        message = f"RequestId: {request_id} Error: Runtime exited with error: {ending}"
        document: dict[str, Any] = {"errorType": "Runtime.ExitError", "errorMessage": message}
        return Outcome(json.dumps(document), is_error=True, log=log)
    document = json.loads(answer)
    if "error" in document:
        return Outcome(json.dumps(document["error"]), is_error=True, log=log)
    return Outcome(document["result"], is_error=False, log=log)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _text(log: bytes) -> str:
    return log.decode("utf-8", "replace")
