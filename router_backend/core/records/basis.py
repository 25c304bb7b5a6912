"""What a predicted service time is based on."""

from enum import Enum


class Basis(str, Enum):
    """What a predicted service time is based on.

    MEASURED: the variant's own answers.
    PRIOR: the analysis of its model.
    GUESS: nothing but its kind of device and the other variants; it only decides which one is tried first.
    """

    MEASURED = "measured"
    PRIOR = "prior"
    GUESS = "guess"
