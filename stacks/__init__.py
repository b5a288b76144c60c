# SPDX-License-Identifier: Apache-2.0
"""The architecture as CloudFormation stacks, written with troposphere: configuration in, templates out."""
