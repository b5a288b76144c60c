# SPDX-License-Identifier: Apache-2.0
"""Lambda: functions that run as processes of this host."""
