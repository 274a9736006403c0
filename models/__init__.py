"""Recordings -> trained run folder -> sound. Knows nothing of the search or the zoo."""
