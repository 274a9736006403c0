"""cpu_train."""
