# SPDX-License-Identifier: Apache-2.0
"""Commands that only look or stop must start quickly."""

from __future__ import annotations

import subprocess
import sys

from sandbox.state_dir import CHECKOUT


def test_control_imports_nothing_heavy() -> None:
    script = "import sys, sandbox.control; print(sorted({name.split('.')[0] for name in sys.modules}))"
    seen = subprocess.run(
        [sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    for heavy in ("moto", "boto3", "botocore", "yaml", "dill"):
        assert f"'{heavy}'" not in seen.stdout
