"""Names for the arrays that travel between the steps."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bool", "Complex", "Int", "Real"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Bool = NDArray[np.bool_]
Int = NDArray[np.int64]
