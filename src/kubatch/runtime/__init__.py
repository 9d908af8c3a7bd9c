"""One container for real. Knows no Pods' rules."""
