"""Tests of pfsquid.discovery: people, apps, questions, and the engine that is shut in."""
