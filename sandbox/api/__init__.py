# SPDX-License-Identifier: Apache-2.0
"""The region's AWS API: moto, made to tell the truth about machines, and guarded by a list of what is supported."""
