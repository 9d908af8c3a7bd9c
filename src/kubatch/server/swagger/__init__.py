"""OpenAPI 2 as older kubectls and makers of clients read it: one document of everything served."""
