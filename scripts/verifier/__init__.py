"""A second implementation of what a verifier of federations needs, from docs/reference/protocol.md and nothing else.

Python's standard library only; numbers are Python's integers and floats, which are IEEE float64.
"""
