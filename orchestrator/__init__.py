# SPDX-License-Identifier: Apache-2.0
"""The package behind tasks.py: bakes images, rolls fleets, deploys releases and opens doors on AWS."""
