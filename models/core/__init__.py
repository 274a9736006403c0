"""The base of all other sub-packages: files, documents, errors, the machine.

* `errors`: the errors that a person can act on, each with a hint
* `files`: text and JSON, written atomically
* `schema`: JSON read and checked against a schema
* `locations`: paths and URIs
* `user_folders`: where this platform keeps a user's settings and caches
* `cache`: the cache folder, stored measurements, digests of source code
* `progress`: what long work tells while it runs
* `hardware`: processor, GPU and library versions
"""
