"""The shim: a small program that is the parent of containers and outlives the server.

It runs as `python3 -S -I -E .../shim/__main__.py DIRECTORY`, imports the standard library and
nothing else, and so starts in some milliseconds. It is a package so that its parts are compiled
once; inside it, imports are relative, because it runs under the name `shim`.

The program that starts it waits for it: the first process ends once the socket answers (exit code
0), or could not (1), or because another shim has this directory (3). What serves is its child, in
a session of its own. SIGTERM, SIGINT and SIGHUP do nothing: stopping the server must not take its
containers along. The `shutdown` request ends everything, and so does SIGKILL for the shim alone.
"""
