"""How fast, beside what: `make bench` measures this machine and prints one table."""
