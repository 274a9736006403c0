"""Storage of studies and recordings, local or at a URI.

* `uri_store`: a folder at a URI
* `recordings`: recordings in memory, with fingerprints
"""
