"""What runs behind `refine`, `affinity` and `walk`: numba kernels, and autograd functions that keep little."""
