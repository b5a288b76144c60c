# SPDX-License-Identifier: Apache-2.0
"""What commands do, joined with AWS: the parts of the composition root, one a theme."""
