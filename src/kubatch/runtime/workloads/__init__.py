"""Programs that stand in for well-known demo images; each is a file run on its own."""
