"""SPDY/3.1, as far as kubectl speaks it: many streams of bytes over one connection.

kubectl before 1.30 runs exec and attach over it, and every kubectl port-forward, since 1.31 inside
a WebSocket. `frames` and `connection` are the protocol and touch no socket; `session` is the part
that reads, writes and waits.
"""
