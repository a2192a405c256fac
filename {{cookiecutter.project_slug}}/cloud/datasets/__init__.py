"""The data sets: how their CSV files are made, and where they are kept."""
