# SPDX-License-Identifier: Apache-2.0
"""The local AWS region: AWS's API on loopback, real machines behind it.

It imports nothing of orchestrator/ and speaks to it only through the AWS API.
"""
