"""kubatch: the Kubernetes batch API without a cluster."""

__version__ = "0.1.0"
