# SPDX-License-Identifier: Apache-2.0
"""What the project's YAML files say, checked."""
