"""The engine: cache to queue to decide to apply. Knows no Jobs."""
