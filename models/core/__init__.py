"""The base of all other sub-packages: files, documents, errors, the machine.

* `errors`: the errors that a person can act on, each with a hint
* `userinfo`: user names and passwords in URIs
* `files`: text and JSON, written atomically
* `renames`: a folder takes the place of another
* `reading`: files of people, other systems or strangers, as bytes and text
* `plain_text`: text of strangers made plain
* `schema`: JSON read and checked against a schema
* `locations`: paths and URIs
* `user_folders`: where this platform keeps a user's settings and caches
* `cache`: the cache folder, stored measurements, digests of source code
* `progress`: what long work tells while it runs
* `hardware`: processor, GPU and library versions
"""
