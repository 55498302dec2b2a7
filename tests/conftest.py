"""Settings of every test process; they must come before NumPy is loaded."""

import os

# Two test processes on two cores: a BLAS with threads of its own would only make them wait for one another.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
