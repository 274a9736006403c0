"""The names of the files in a model's folder; light to import."""

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
EVAL = "eval.json"
RECIPE = "recipe.json"
HISTORY = "history.jsonl"
SPLIT = "split.json"
FOLD_SCORES = "folds.json"
STATE = "state.safetensors"
MACHINE = "machine.json"
TRAINING = "training.json"  # of a package: how its model was trained
