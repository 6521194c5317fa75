"""Section 3.4: the losses of a step (Eq. 11), the loop, its schedule and checkpoints."""

from uspl.train.loop import train_or_load
from uspl.train.losses import Objective, total_loss
from uspl.train.step import TrainingError, TrainingStopped

__all__ = ["Objective", "TrainingError", "TrainingStopped", "total_loss", "train_or_load"]
