"""A zoo on a Hugging Face hub, or on a server with the same API.

* `hub`: the `Zoo` itself: reads, pull and push in one class
* `client`: reads: lists of amps, one commit's files, documents
* `pull`: fetches an amp, verified before it appears
* `push`: publishes a package in one commit
* `http`: one GET: size limits, retries, timeouts
"""
