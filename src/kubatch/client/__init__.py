"""The door every part uses to read, write and watch objects, wherever the API server is."""
