"""How a model is fitted: hyperparameters, ALS, item-item weights, and the space that a search covers."""
