"""How many threads numpy and scipy compute with."""

from threadpoolctl import threadpool_limits


def use_one_blas_thread() -> None:
    """Limit BLAS to the calling thread, for the whole process and from now on.

    A fold-in solves a small system (F x F). A BLAS with one thread per core splits even that: with both cores
    of a two-core machine busy, 128 factors took 130 ms instead of 0.6 ms. The server runs requests in
    parallel instead. A caller with one large product may raise the limit for it with threadpoolctl.
    """
    threadpool_limits(limits=1, user_api="blas")
