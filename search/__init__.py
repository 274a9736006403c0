"""The search over models: Ray Tune runs the trials, Optuna proposes them."""
