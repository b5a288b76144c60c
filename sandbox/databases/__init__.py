# SPDX-License-Identifier: Apache-2.0
"""The databases of the region: MariaDB servers as the members of Aurora MySQL clusters."""
