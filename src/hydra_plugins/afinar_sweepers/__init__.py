"""Afinar's sweepers: Hydra takes them from this namespace alone."""
