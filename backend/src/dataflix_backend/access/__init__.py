"""Who may ask, for what, how often; and what administrators did."""
