"""The lake in S3, the stack, and what runs in it."""
