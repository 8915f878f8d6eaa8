"""The shapes of requests (pydantic models, which validate) and answers (typed dictionaries)."""
