# SPDX-License-Identifier: Apache-2.0
"""Instance refreshes: a group's instances are replaced by those of another configuration, a few at a time."""
