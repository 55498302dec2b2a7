"""Settings of every test process; they must come before NumPy is loaded."""

import os
import signal

# Two test processes on two cores: a BLAS with threads of its own would only make them wait for one another.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# A run of the tests that was started in the background (`nohup`, `&`) ignores these signals, and with it every process
# that it starts: tests of what a signal does would wait for ever.
for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)
