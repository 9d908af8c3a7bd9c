"""What an object is: models, encoding, names of kinds, errors, selectors, quantities, patches.

Pure: everything here is true of any object, stored or not. Nothing here knows a server.
"""
