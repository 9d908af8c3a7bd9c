"""Everything that pretends; users may run it."""
