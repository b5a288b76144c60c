# SPDX-License-Identifier: Apache-2.0
"""Application load balancers: HAProxy in the VPC."""
