"""What our tables are a copy of, and the application's ids of people and items."""
