"""How a list is made from scores: filters, popularity, reranking and explanations."""
