# SPDX-License-Identifier: Apache-2.0
"""Programs of this host: how they are started, told to end, and what their output means."""
