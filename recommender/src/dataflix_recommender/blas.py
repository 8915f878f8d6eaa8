"""How many threads numpy and scipy compute with."""

from threadpoolctl import threadpool_limits


def use_one_blas_thread() -> None:
    """Let BLAS compute in the calling thread, in this process and from now on.

    A fold-in is a small system (F x F). A BLAS with a thread per core hands pieces of it around: with both
    cores of a two-core machine busy, 128 factors took 130 ms instead of 0.6 ms. Requests are what is served
    in parallel. A caller with one large product may raise the limit around it with threadpoolctl.
    """
    threadpool_limits(limits=1, user_api="blas")
