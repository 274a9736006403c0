"""The report of a study: page, tables, charts.

* `write`: all files of a finished study
* `page`: `report.html`
* `clips`: the sound of a report
* `tables`: its tables
* `charts`: its figures
* `optuna_export`: the ledger as an Optuna study
"""
