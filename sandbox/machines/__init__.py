# SPDX-License-Identifier: Apache-2.0
"""Machines of the region: podman containers that run systemd, and the images they start from."""
