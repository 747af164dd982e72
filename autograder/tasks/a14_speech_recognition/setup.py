import math

import torch
