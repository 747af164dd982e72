"""Energy, carbon and water of training, as published, and of inference, as it follows from speed and power."""

from dataclasses import dataclass
from typing import NamedTuple

SOURCE = "Morrison et al. (2025), arXiv:2503.05804, table 1, as printed in the lecture of 2026"
SECONDS_PER_HOUR = 3600


class TrainingImpact(NamedTuple):
    """One row of the table: everything that was spent on developing a group of models.

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
TRAINING_IMPACT = (
    TrainingImpact("<1B", 29e3, 19, 20, 6, "1 yr, 4 mo", 24, "3 mo"),
    TrainingImpact("7B", 269e3, 196, 375, 65, "13 yrs, 6 mo", 252, "2 yrs, 7 mo"),
    TrainingImpact("13B", 191e3, 116, 156, 46, "9 yrs, 7 mo", 402, "3 yrs, 7 mo"),
    TrainingImpact("MoE", 27e3, 19, 35, 6, "1 yr, 4 mo", 24, "3 mo"),
)
TRAINING_TOTAL = TrainingImpact("Total", 680e3, 459, 813, 159, "33 yrs, 1 mo", 843, "7 yrs, 5 mo")


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

    Chapter: book/ch01_decoding_and_its_cost
    """

    gpu_kw: float  # mean power of a GPU, with its share of the rest of the data centre
    carbon_kg_per_kwh: float
    water_l_per_kwh: float

    @classmethod
    def of(cls, impact: TrainingImpact) -> "Site":
        """The ratios of a row of the table."""
        return cls(
            gpu_kw=1e3 * impact.energy_mwh / impact.gpu_hours,
            carbon_kg_per_kwh=impact.carbon_t / impact.energy_mwh,
            water_l_per_kwh=impact.water_kl / impact.energy_mwh,
        )

    def footprint(self, energy_mwh: float) -> Footprint:
        """What that much energy comes with here."""
        return Footprint(energy_mwh, energy_mwh * self.carbon_kg_per_kwh, energy_mwh * self.water_l_per_kwh)

    def joules_per_token(self, tokens_per_s: float) -> float:
        """Energy of one token on a GPU that writes `tokens_per_s` of them.

        Raises:
            ValueError: tokens_per_s is not above 0.
        """
        if tokens_per_s <= 0:
            raise ValueError(f"tokens_per_s {tokens_per_s} is not above 0")
        return 1e3 * self.gpu_kw / tokens_per_s

    def inference(self, num_tokens: float, tokens_per_s: float) -> Footprint:
        """What writing that many tokens costs, at that many tokens a second on each GPU."""
        joules = num_tokens * self.joules_per_token(tokens_per_s)
        return self.footprint(joules / SECONDS_PER_HOUR / 1e6)

    def days_until_inference_equals(self, training_mwh: float, tokens_per_day: float, tokens_per_s: float) -> float:
        """Days of service after which inference has drawn what training drew.

        Raises:
            ValueError: tokens_per_day is not above 0.
        """
        if tokens_per_day <= 0:
            raise ValueError(f"tokens_per_day {tokens_per_day} is not above 0")
        return training_mwh / self.inference(tokens_per_day, tokens_per_s).energy_mwh
