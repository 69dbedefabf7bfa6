"""The firewall: what it should be, what it is, and how to get from one to the other without leaving it worse off."""
