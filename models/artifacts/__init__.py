"""A trained model on disk: the folder that training writes, a package contains and playback reads.

* `names`: the names of its files
* `model_config`: `config.json`, what the model is
* `evaluation`: `eval.json`, how good it is and what it costs
* `history`: `history.jsonl`, the reports of its training
* `folder`: the model itself, config and weights, written and read with checks
"""
