"""cpu_stream."""
