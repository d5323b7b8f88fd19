"""Shared parts of the training scripts: networks, data, metrics, checkpoints."""
