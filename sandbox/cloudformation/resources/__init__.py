# SPDX-License-Identifier: Apache-2.0
"""One module a service; each lists its handlers in HANDLERS."""
