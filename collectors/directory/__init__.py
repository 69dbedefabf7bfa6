"""Accounts of directories → rows of `accounts`. Reads what it is given, asks nobody."""
