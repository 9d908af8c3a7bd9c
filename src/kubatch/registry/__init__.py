"""What the API allows, and what it does before storing: the verbs, and one strategy per kind."""
