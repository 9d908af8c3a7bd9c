"""Whether a caller may do what a request asks: role-based access control, as Kubernetes has it."""
