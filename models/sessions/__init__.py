"""A guided recording: the takes of a session, recorded one by one or imported, and judged at once.

* `session_takes`: the takes of a session folder, in order, and which of them are recorded
* `progress_file`: what a session remembers between two evenings
* `setup`: levels, round trip, noise and hum, before the first take
* `judge`: a take against the rules of the check and the takes before it
* `guide`: from take to take: record, keep, retake, skip, back
* `virtual_card`: the built-in virtual amp behind a calculated sound card
* `exported`: files that another program exported, as takes of a session
"""
