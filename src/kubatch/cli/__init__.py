"""The kubatch command: parse arguments, call cluster, print."""
