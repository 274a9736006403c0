"""What every other sub-package may use: files, documents, errors, the machine.

* `errors`: the errors that a person can act on, each with a hint
* `files`: text and JSON written whole or not at all
* `schema`: JSON read and checked against a schema
* `locations`: paths and URIs
* `user_folders`: where this platform keeps a user's settings and caches
* `cache`: the cache folder, stored measurements, digests of source code
* `hardware`: processor, GPU and library versions
"""
