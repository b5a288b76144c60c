# SPDX-License-Identifier: Apache-2.0
"""Give a fleet a new image: observe, plan, confirm, apply, watch, verify, and take back what is bad."""
