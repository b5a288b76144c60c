# SPDX-License-Identifier: Apache-2.0
"""Documents that are written from the code: `invoke docs`."""
