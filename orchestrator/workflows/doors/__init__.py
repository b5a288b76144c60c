# SPDX-License-Identifier: Apache-2.0
"""Doors to private machines and databases: who may go through, on which way, and what is told of it."""
