"""Files behind a URI.

uri_store: a folder at a URI. recordings: recordings in memory, with fingerprints.
"""
