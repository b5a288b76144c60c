# SPDX-License-Identifier: Apache-2.0
"""Let operators in while their names are good, and tell who came: what runs on a machine for its doors."""
