"""What all Dataflix packages share. Knows nothing of movies, models or HTTP frameworks."""
