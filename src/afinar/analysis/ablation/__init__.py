"""Ablations: a claim, the runs that test it, and what they say of it."""
