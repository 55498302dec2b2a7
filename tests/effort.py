"""How much is tested: with BNN_CALIBRATE (`make calibrate`) every case, without it what each change has time for."""

import os

FULL = bool(os.environ.get("BNN_CALIBRATE"))
