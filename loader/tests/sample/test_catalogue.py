"""The catalogue of the sample is complete and consistent."""

from collections import Counter

from dataflix_loader.sample.catalogue import read_catalogue

MOVIES = read_catalogue()

GENRES = {
    *("Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
}


def test_there_are_movies_of_every_genre_and_decade() -> None:
    assert len(MOVIES) >= 250
    genres = Counter(genre for movie in MOVIES for genre in movie.genres)
    assert set(genres) == GENRES
    assert min(genres.values()) >= 10
    assert {movie.release_year // 10 for movie in MOVIES} == set(range(192, 203))


def test_every_movie_is_listed_once_and_complete() -> None:
    assert [movie.movie_id for movie in MOVIES] == list(range(1, len(MOVIES) + 1))
    assert len({(movie.title, movie.release_year) for movie in MOVIES}) == len(MOVIES)
    for movie in MOVIES:
        assert movie.title == movie.title.strip() != ""
        assert movie.director
        assert 1920 <= movie.release_year <= 2025
        assert 30 <= movie.duration_minutes <= 240
        assert 1 <= movie.familiarity <= 5
        assert list(movie.genres) == sorted(set(movie.genres))
        assert movie.description.endswith((".", "?"))


def test_some_well_known_movies_are_correct() -> None:
    known = {movie.title: (movie.release_year, movie.director, movie.duration_minutes) for movie in MOVIES}
    assert known["Casablanca"] == (1942, "Michael Curtiz", 102)
    assert known["Psycho"] == (1960, "Alfred Hitchcock", 109)
    assert known["Alien"] == (1979, "Ridley Scott", 117)
    assert known["Spirited Away"] == (2001, "Hayao Miyazaki", 125)
    assert known["Parasite"] == (2019, "Bong Joon-ho", 132)
