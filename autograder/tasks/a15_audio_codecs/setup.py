import math
from fractions import Fraction

import torch
