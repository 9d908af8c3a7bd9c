"""One machine's pods: what a kubelet does, over any Runtime."""
