# SPDX-License-Identifier: BSD-3-Clause
"""The lab: network namespaces, real Linux peers and Culvert, built per test and removed whatever happens.

docs/lab.md has the picture. Only the Python of Debian 12 is used."""
