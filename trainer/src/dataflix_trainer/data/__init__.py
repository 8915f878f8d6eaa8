"""What training and evaluation read: the warehouse, files of ratings, the object store, and the holdout."""
