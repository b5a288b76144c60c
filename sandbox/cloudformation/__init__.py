# SPDX-License-Identifier: Apache-2.0
"""CloudFormation for the local region: an engine of its own under moto's API."""
