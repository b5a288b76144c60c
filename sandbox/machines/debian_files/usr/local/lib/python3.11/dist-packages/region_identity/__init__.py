# SPDX-License-Identifier: Apache-2.0
"""Tells cloud-init that this machine is on EC2; see DataSourceEc2."""
