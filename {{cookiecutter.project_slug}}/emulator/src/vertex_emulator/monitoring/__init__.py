"""Cloud Monitoring v3: how busy jobs and deployed models are, as time series."""
