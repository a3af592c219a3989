"""What the paper prints (Iwahana et al., 2025), for its tables to be compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Triple = tuple[float, float, float]
"""ACC, ASR, DER."""

_FOUR = "BadNets", "Trojan", "Blend", "WaNet"


@dataclass(frozen=True)
class Published:
    """Its figures for one network, by the names of our rows.

    Attributes:
        network: in words.
        purified_in, norms_in: numbers of the paper's tables of these.
        before: ACC and ASR of the victims by attack.
        purified: by method and attack.
        rates: shift tuning, by victims with lower rates (Table 6).
        cosines: of each method's neurons with TAC, by ranking and attack (Table 1).
        norms: L2 norm of every class's shift and z of the target, by attack (Tables 2 and 3).
        own: the paper's own method among ``purified``.
    """

    network: str
    purified_in: int
    norms_in: int
    before: Mapping[str, tuple[float, float]]
    purified: Mapping[str, Mapping[str, Triple]]
    rates: Mapping[str, Triple] = field(default_factory=dict)
    cosines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    norms: Mapping[str, tuple[tuple[float, ...], float]] = field(default_factory=dict)
    own: str = "the paper's settings"


def _four(*triples: Triple) -> dict[str, Triple]:
    return dict(zip(_FOUR, triples, strict=True))


RESNET18 = Published(
    "a ResNet-18 of width 64", purified_in=4, norms_in=2,
    before={
        "BadNets": (0.9381, 1.0), "Trojan": (0.9400, 1.0), "Blend": (0.9329, 0.9991),
        "WaNet": (0.9341, 0.9959),
    },
    purified={
        "FP": _four(
            (0.9364, 1.0, 0.4992), (0.9346, 0.0204, 0.9871), (0.9313, 0.1296, 0.9340),
            (0.9337, 0.0081, 0.9937),
        ),
        "CLP": _four(
            (0.9130, 0.3310, 0.8220), (0.8397, 0.0119, 0.9439), (0.9009, 0.3046, 0.8313),
            (0.1023, 1.0, 0.0841),
        ),
        "TSBD": _four(
            (0.9069, 0.1253, 0.9217), (0.9012, 0.0357, 0.9628), (0.8876, 0.0366, 0.9586),
            (0.8785, 0.7928, 0.5738),
        ),
        "the paper's settings": _four(
            (0.9255, 0.0573, 0.9650), (0.9244, 0.0067, 0.9889), (0.9182, 0.0148, 0.9848),
            (0.9246, 0.0046, 0.9909),
        ),
    },
    rates={
        "BadNets rate 0.01": (0.9207, 0.1791, 0.9018),
        "Trojan rate 0.01": (0.9215, 0.0207, 0.9806),
        "Blend rate 0.01": (0.9158, 0.0030, 0.9717),
        "BadNets rate 0.05": (0.9147, 0.0249, 0.9735),
        "Trojan rate 0.05": (0.9205, 0.0109, 0.9847),
        "Blend rate 0.05": (0.9166, 0.0134, 0.9813),
    },
    cosines={
        "FP": {"BadNets": -0.0135, "Trojan": 0.0044, "Blend": -0.2168, "WaNet": -0.3478},
        "CLP": {"BadNets": -0.1019, "Trojan": -0.0820, "Blend": -0.1104, "WaNet": -0.1395},
        "TSBD": {"BadNets": 0.8026, "Trojan": 0.7458, "Blend": -0.1580, "WaNet": 0.6447},
        "shift": {"BadNets": 0.9294, "Trojan": 0.9211, "Blend": 0.9087, "WaNet": 0.7170},
    },
    norms={
        "BadNets": ((4.5902, 5.7068, 5.0467, 5.1318, 5.2074, 5.2113, 5.2538, 5.2919, 5.3592,
                     5.4181), -2.3270),
        "Trojan": ((4.4713, 5.7013, 5.0536, 5.1178, 5.1718, 5.2152, 5.3006, 5.3549, 5.4100,
                    5.5185), -2.4268),
        "Blend": ((4.3044, 5.6376, 5.0498, 5.1227, 5.1316, 5.1859, 5.2904, 5.3484, 5.4945,
                   5.4183), -2.5897),
        "WaNet": ((3.3077, 5.2566, 4.6121, 4.7036, 5.0406, 5.0018, 5.0899, 4.9878, 4.8985,
                   5.1066), -2.8203),
    },
)  # fmt: skip
"""Tables 1, 2, 4 and 6."""

RESNET50 = Published(
    "a ResNet-50 of width 64", purified_in=5, norms_in=3,
    before={
        "BadNets": (0.9148, 1.0), "Trojan": (0.9269, 1.0), "Blend": (0.9211, 0.9959),
        "WaNet": (0.9283, 0.9892),
    },
    purified={
        "FP": _four(
            (0.9099, 0.5843, 0.7054), (0.9189, 0.0266, 0.9827), (0.9116, 0.1733, 0.9065),
            (0.9191, 0.0088, 0.9856),
        ),
        "CLP": _four(
            (0.6383, 0.0933, 0.8151), (0.5080, 0.0324, 0.7743), (0.4762, 0.0568, 0.7471),
            (0.5954, 0.0014, 0.8274),
        ),
        "TSBD": _four(
            (0.8141, 0.0474, 0.9259), (0.8727, 0.0224, 0.9617), (0.8342, 0.0507, 0.9292),
            (0.8380, 0.7151, 0.5919),
        ),
        "the paper's settings": _four(
            (0.8878, 0.0453, 0.9638), (0.8992, 0.0101, 0.9811), (0.8930, 0.0248, 0.9715),
            (0.9065, 0.0074, 0.9800),
        ),
    },
    norms={
        "BadNets": ((4.1445, 6.0710, 5.3332, 5.6283, 5.5600, 5.6164, 5.7831, 5.6715, 5.6829,
                     5.8469), -2.7915),
        "Trojan": ((4.6884, 6.5206, 6.0624, 6.1341, 6.0718, 6.0586, 6.3775, 6.3162, 6.1675,
                    6.4331), -2.8403),
        "Blend": ((4.1723, 6.0552, 5.7315, 5.7608, 5.7854, 5.8249, 5.9527, 5.8044, 5.7338,
                   5.9459), -2.8226),
        "WaNet": ((3.5280, 6.4481, 6.4772, 6.3523, 6.5849, 6.6053, 6.8495, 6.4669, 6.6952,
                   6.8567), -2.8567),
    },
)  # fmt: skip
"""Tables 3 and 5. From the printed norms, z of Blend and WaNet comes to −2.94 and −2.96."""
