"""An online shop: accounts, products, and what people view and buy."""
