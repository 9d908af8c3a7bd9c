"""Starts the shim; see the package."""

import sys

# Isolated mode leaves the script's directory out of sys.path. Appended, not inserted: no module
# of ours may hide one of the standard library.
sys.path.append(__file__.rsplit("/", 2)[0])

if __name__ == "__main__":
    __import__("shim.daemon").daemon.main(sys.argv[1:])
