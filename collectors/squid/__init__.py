"""Squid's access log: the grammar of `logformat`, and bytes to rows and rejects."""
