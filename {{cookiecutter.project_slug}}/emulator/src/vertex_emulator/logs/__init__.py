"""Cloud Logging v2: what jobs printed, as log entries."""
