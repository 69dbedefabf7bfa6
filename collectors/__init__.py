"""Where rows come from: bytes and HTTP in, Arrow batches out. Imports nothing of `pfsquid`."""
