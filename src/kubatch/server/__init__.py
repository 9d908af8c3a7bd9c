"""HTTP and only HTTP: requests become registry verbs, results become responses."""
