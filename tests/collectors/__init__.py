"""Tests of `collectors`: bytes in, rows and rejects out."""
