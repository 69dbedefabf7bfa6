"""A small company on one machine: Active Directory, firewall with Squid, workstation, web.

Brought up and down with `python -m tests.lab`; README.md beside this file says what is where.
"""
