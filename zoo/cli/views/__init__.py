"""What commands show: tables, sentences and pages from plain data.

* `words`: sentences that several commands print
* `plan`: designs and settings to record
* `recordings`: checked and aligned takes
* `check_page`: a checked manifest as an HTML page
* `board`: the trials of a study, the progress of a search
* `amps`: a list of amps, one amp, its knobs
"""
