# SPDX-License-Identifier: Apache-2.0
"""The operations of Auto Scaling, by theme: each method is one operation, named as moto would name it.

A method takes the request's parameters and returns the answer's members, in AWS's words. The lock of Auto
Scaling is held meanwhile; instances follow later, when the group is looked at.
"""
