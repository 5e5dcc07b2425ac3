"""Word vectors (word2vec, GloVe, fastText) as the start of the embedding layer (bert 7.1)."""

from afinar.models.word_vectors.start import WordVectors

__all__ = ["WordVectors"]
