"""Trains a model on a table: settings, data, preprocessing, model, loop, evaluation, export."""
