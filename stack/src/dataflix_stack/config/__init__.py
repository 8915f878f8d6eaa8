"""The settings of `.env` and what is known of the state folder."""
