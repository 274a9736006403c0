"""search/study/files.py."""

RECORDINGS = "recordings.json"  # of a study: amp -> what it was trained on, as `load_heard` tells it

COSTS = "costs.json"


STUDY, BOARD, PICTURE, REPORT = "study.json", "board.json", "board.png", "report.html"


JOURNAL = "optuna.journal"
