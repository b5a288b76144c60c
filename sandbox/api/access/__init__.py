# SPDX-License-Identifier: Apache-2.0
"""Who may do what: the policies of a role decide over calls that its sessions make."""
