"""A rental shop: films, copies in stock, customers and rentals."""
