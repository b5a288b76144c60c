# SPDX-License-Identifier: Apache-2.0
"""Nouns: plain data and pure decisions. Imports the standard library and errors only."""
