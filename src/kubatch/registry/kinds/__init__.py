"""One file or folder per kind: defaults, validation, strategy, columns."""
