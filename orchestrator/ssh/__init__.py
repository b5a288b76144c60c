# SPDX-License-Identifier: Apache-2.0
"""Connections to machines, the only home of SSH libraries. Importing it imports none of them."""
