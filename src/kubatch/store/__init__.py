"""Bytes under keys with revisions. Knows no kinds."""
