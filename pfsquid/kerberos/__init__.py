"""Kerberos: a small client of its own (AS, TGS and AP exchange, keytab, SPNEGO), and the proof of the whole chain."""
