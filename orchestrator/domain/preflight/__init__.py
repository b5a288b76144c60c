# SPDX-License-Identifier: Apache-2.0
"""What is looked at before a rollout, and what is wrong with it."""
