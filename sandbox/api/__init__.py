# SPDX-License-Identifier: Apache-2.0
"""The region's AWS API: moto, told the truth about machines, behind a list of what is supported."""
