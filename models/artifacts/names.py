"""models/artifacts/names.py."""

CONFIG, WEIGHTS = "config.json", "model.safetensors"

EVAL, RECIPE, HISTORY, SPLIT, STATE, MACHINE = (
    "eval.json",
    "recipe.json",
    "history.jsonl",
    "split.json",
    "state.safetensors",
    "machine.json",
)

TRAINING = "training.json"  # of a package: how its model was trained
