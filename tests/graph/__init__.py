"""A Microsoft Graph and an Entra token endpoint to test against: as strict, late and unreliable as the real ones.

Written from Graph's CSDL and documentation, for tests only. `fixture.py` says how a test gets one; `python -m
tests.graph` serves it to another process. Nothing here is imported by the product.
"""
