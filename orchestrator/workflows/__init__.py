# SPDX-License-Identifier: Apache-2.0
"""Verbs, named as the tasks. They see ports, never AWS, ssh or tools."""
