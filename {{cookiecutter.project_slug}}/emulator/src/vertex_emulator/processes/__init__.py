"""Processes that outlive a request: replicas of jobs and model servers, each under a supervisor."""
