"""The catalogue of the sample keeps the promises that can be checked without seeing the films."""

from collections import Counter

from dataflix_loader.sample.catalogue import read_catalogue

FILMS = read_catalogue()

GENRES = {
    *("Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
}


def test_there_are_films_of_every_genre_and_decade() -> None:
    assert len(FILMS) >= 250
    genres = Counter(genre for film in FILMS for genre in film.genres)
    assert set(genres) == GENRES
    assert min(genres.values()) >= 10
    assert {film.release_year // 10 for film in FILMS} == set(range(192, 203))


def test_every_film_is_told_once_and_wholly() -> None:
    assert [film.movie_id for film in FILMS] == list(range(1, len(FILMS) + 1))
    assert len({(film.title, film.release_year) for film in FILMS}) == len(FILMS)
    for film in FILMS:
        assert film.title == film.title.strip() != ""
        assert film.director
        assert 1920 <= film.release_year <= 2025
        assert 30 <= film.duration_minutes <= 240
        assert 1 <= film.familiarity <= 5
        assert list(film.genres) == sorted(set(film.genres))
        assert film.description.endswith((".", "?"))


def test_some_films_anybody_can_check() -> None:
    known = {film.title: (film.release_year, film.director, film.duration_minutes) for film in FILMS}
    assert known["Casablanca"] == (1942, "Michael Curtiz", 102)
    assert known["Psycho"] == (1960, "Alfred Hitchcock", 109)
    assert known["Alien"] == (1979, "Ridley Scott", 117)
    assert known["Spirited Away"] == (2001, "Hayao Miyazaki", 125)
    assert known["Parasite"] == (2019, "Bong Joon-ho", 132)
