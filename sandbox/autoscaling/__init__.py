# SPDX-License-Identifier: Apache-2.0
"""Auto Scaling: groups that keep their machines."""
