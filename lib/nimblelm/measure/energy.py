"""Energy, carbon and water of developing models and of training one, as published, and of inference, from its speed."""

import math
from dataclasses import dataclass
from typing import NamedTuple

SOURCE = "Morrison et al. (2025), arXiv:2503.05804, table 1, as printed in the lecture of 2026"
SECONDS_PER_HOUR = 3600


class DevelopmentImpact(NamedTuple):
    """One row of the table: what the runs took with which a group of models was developed, without the final training.

    Chapter: book/ch01_decoding_and_its_cost
    """

    group: str
    gpu_hours: float
    energy_mwh: float
    num_runs: int
    carbon_t: float  # tonnes of CO2 equivalent
    carbon_like: str  # energy use of one home in the United States
    water_kl: float
    water_like: str  # water use of one person in the United States


# The caption speaks of five groups; the row of the 1B models is missing on the slide, and is therefore missing here.
DEVELOPMENT_IMPACT = (
    DevelopmentImpact("<1B", 29e3, 19, 20, 6, "1 yr, 4 mo", 24, "3 mo"),
    DevelopmentImpact("7B", 269e3, 196, 375, 65, "13 yrs, 6 mo", 252, "2 yrs, 7 mo"),
    DevelopmentImpact("13B", 191e3, 116, 156, 46, "9 yrs, 7 mo", 402, "3 yrs, 7 mo"),
    DevelopmentImpact("MoE", 27e3, 19, 35, 6, "1 yr, 4 mo", 24, "3 mo"),
)
DEVELOPMENT_TOTAL = DevelopmentImpact("Total", 680e3, 459, 813, 159, "33 yrs, 1 mo", 843, "7 yrs, 5 mo")
ALL_CARBON_T = 493  # of the same models: development, final training and the making of the hardware (abstract)


@dataclass(frozen=True)
class Training:
    """One training of one model, as its developers report it.

    Raises:
        ValueError: a number that is not positive and finite.

    Chapter: book/ch01_decoding_and_its_cost
    """

    model: str
    gpu_hours: float
    gpu_kw: float  # the peak power of a GPU, so that the energy is an upper estimate

    def __post_init__(self):
        if not (0 < self.gpu_hours < math.inf and 0 < self.gpu_kw < math.inf):
            raise ValueError(f"gpu_hours {self.gpu_hours} and gpu_kw {self.gpu_kw} must be above 0 and finite")

    @property
    def energy_mwh(self) -> float:
        return self.gpu_hours * self.gpu_kw / 1e3


# Meta (2024), model card of Llama 3.1, github.com/meta-llama/llama-models, models/llama3_1/MODEL_CARD.md.
LLAMA_3_1_8B = Training("Llama 3.1 8B", gpu_hours=1.46e6, gpu_kw=0.7)


class Footprint(NamedTuple):
    """Energy, carbon and water.

    Chapter: book/ch01_decoding_and_its_cost
    """

    energy_mwh: float
    carbon_t: float
    water_kl: float


@dataclass(frozen=True)
class Site:
    """What a GPU-hour draws at a data centre and what its energy comes with.

    Raises:
        ValueError: a power that is not above 0, a negative ratio, or a number that is not finite.

    Chapter: book/ch01_decoding_and_its_cost
    """

    gpu_kw: float  # mean power of a GPU, with its share of the rest of the data centre
    carbon_kg_per_kwh: float
    water_l_per_kwh: float

    def __post_init__(self):
        ratios = (self.carbon_kg_per_kwh, self.water_l_per_kwh)
        if not (0 < self.gpu_kw < math.inf and all(0 <= ratio < math.inf for ratio in ratios)):
            raise ValueError(f"{self}: gpu_kw must be above 0, the others 0 or more, all finite")

    @classmethod
    def of(cls, impact: DevelopmentImpact) -> "Site":
        """The ratios of a row of the table.

        Raises:
            ValueError: a row without GPU hours or energy.
        """
        if not (impact.gpu_hours > 0 and impact.energy_mwh > 0):
            raise ValueError(f"gpu_hours {impact.gpu_hours} and energy_mwh {impact.energy_mwh} must be above 0")
        return cls(
            gpu_kw=1e3 * impact.energy_mwh / impact.gpu_hours,
            carbon_kg_per_kwh=impact.carbon_t / impact.energy_mwh,
            water_l_per_kwh=impact.water_kl / impact.energy_mwh,
        )

    def footprint(self, energy_mwh: float) -> Footprint:
        """What that much energy comes with here.

        Raises:
            ValueError: energy_mwh is negative or no finite number.
        """
        if not 0 <= energy_mwh < math.inf:
            raise ValueError(f"energy_mwh {energy_mwh} must be 0 or more and finite")
        return Footprint(energy_mwh, energy_mwh * self.carbon_kg_per_kwh, energy_mwh * self.water_l_per_kwh)

    def joules_per_token(self, tokens_per_s: float) -> float:
        """Energy of one token on a GPU that writes `tokens_per_s` of them.

        Raises:
            ValueError: tokens_per_s is not above 0 and finite.
        """
        if not 0 < tokens_per_s < math.inf:
            raise ValueError(f"tokens_per_s {tokens_per_s} is not above 0 and finite")
        return 1e3 * self.gpu_kw / tokens_per_s

    def inference(self, num_tokens: float, tokens_per_s: float) -> Footprint:
        """What writing that many tokens costs, at that many tokens per second on each GPU.

        Raises:
            ValueError: a negative number of tokens, no speed, or a number that is not finite.
        """
        if not 0 <= num_tokens < math.inf:
            raise ValueError(f"num_tokens {num_tokens} must be 0 or more and finite")
        joules = num_tokens * self.joules_per_token(tokens_per_s)
        return self.footprint(joules / SECONDS_PER_HOUR / 1e6)

    def days_until_inference_equals(self, training_mwh: float, tokens_per_day: float, tokens_per_s: float) -> float:
        """Days of service after which inference has drawn what training drew.

        Raises:
            ValueError: tokens_per_day or tokens_per_s is not above 0, training_mwh is negative, or one is not finite.
        """
        if not 0 < tokens_per_day < math.inf:
            raise ValueError(f"tokens_per_day {tokens_per_day} is not above 0 and finite")
        if not 0 <= training_mwh < math.inf:
            raise ValueError(f"training_mwh {training_mwh} must be 0 or more and finite")
        return training_mwh / self.inference(tokens_per_day, tokens_per_s).energy_mwh
