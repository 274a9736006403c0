"""The names of the files in a study folder; the ledger has its own in `ledger.py`."""

STUDY = "study.json"  # the config the study began with

RECORDINGS = "recordings.json"  # amp -> the fingerprint of what it was trained on (see `search.storage.recordings`)

COSTS = "costs.json"  # what costs mean (see `search.study.cost`)

BOARD, PICTURE, REPORT_PAGE = "board.json", "board.png", "report.html"

JOURNAL = "optuna.journal"
