"""Vertex AI's TensorBoard: its instances, experiments, runs, and time series with their points."""
