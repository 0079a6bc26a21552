"""Atari-100k: what random play and a person score on its 26 games, and what has been published.

Scores of papers are means over runs, of 100 episodes each, after 100,000 steps (400,000 frames). Columns of 100 runs are those of Agarwal
et al. 2021 (arXiv 2108.13264), whose numbers differ from the first papers': compare with them. Mean and median of every column that has its
games here have been computed again from them, and agree with what was published.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_TABLE = """
Alien            227.8  7127.7   801.5    841.9   802.3   865.2   711.0     824.7   1107.8  1173.2
Amidar             5.8  1719.5   176.3    179.7   125.9   137.8   113.7      82.8    203.4   244.6
Assault          222.4   742.0   571.0    565.6   561.5   579.6   500.9     351.9   1088.9  2098.5
Asterix          210.0  8503.3   977.8    962.5   535.4   763.6   567.2     628.5    903.1  3946.1
BankHeist         14.2   753.1   380.9    345.4   185.5   232.9    65.3     182.1    531.7   732.9
BattleZone      2360.0 37187.5 16651.0  14834.1  8977.0 10165.3  8997.8    4060.6  17671.0 24459.8
Boxing             0.1    12.1    35.8     35.7    -0.3     9.0     0.9       2.5     45.8    85.8
Breakout           1.7    30.5    17.1     19.6     9.2    19.8     2.6       9.8     25.5   370.6
ChopperCommand   811.0  7387.8   974.8    946.3   925.9   844.6   783.5    1033.3   2362.1  7549.3
CrazyClimber   10780.5 35829.4 42923.6  36700.5 34508.6 21539.0  9154.4   21327.8  45544.1 58431.8
DemonAttack      152.1  1971.0   545.2    517.6   627.6  1321.5   646.5     711.8   2814.4 13341.4
Freeway            0.0    29.6    24.4     19.3    20.9    20.3    28.3      25.0     25.4    25.5
Frostbite         65.2  4334.7  1821.5   1170.7   871.0  1014.2  1226.5     231.6   2584.8  2384.8
Gopher           257.6  2412.5   715.2    660.6   467.0   621.6   400.9     778.0    712.4  1331.2
Hero            1027.0 30826.4  7019.2   5858.6  6226.0  4167.9  4987.7    6458.8   8524.0  7818.6
Jamesbond         29.0   302.8   365.4    366.5   275.7   349.1   331.0     112.3    389.1  1129.6
Kangaroo          52.0  3035.0  3276.4   3617.4   581.7  1088.4   740.2     605.4   3631.7  6614.7
Krull           1598.0  2665.5  3688.9   3681.6  3256.9  4402.1  3049.2    3277.9   5911.8  8223.4
KungFuMaster     258.5 22736.3 13192.7  14783.2  6580.1 11467.4  8155.6    5722.2  18649.4 18991.7
MsPacman         307.3  6951.6  1313.2   1318.4  1187.4  1218.1  1064.0     941.9   1574.1  2008.3
Pong             -20.7    14.6    -5.9     -5.4    -9.7    -9.1   -18.5       1.3      2.9    16.7
PrivateEye        24.9 69571.3   124.0     86.0    72.8     3.5    81.9     100.0     97.9    40.5
Qbert            163.9 13455.0   669.1    866.3  1773.5  1810.7   727.0     509.3   4044.1  4447.1
RoadRunner        11.5  7845.0 14220.5  12213.1 11843.4 11211.4  5006.1    2696.7  13463.4 33426.8
Seaquest          68.4 42054.7   583.1    558.1   304.6   352.3   315.2     286.9    819.0  1232.5
UpNDown          533.4 11693.2 28138.5  10859.2  3075.0  4324.5  2646.4    2847.6 112450.3 12101.7
"""
# From the left: game, random, human, and the columns below that have games, in their order.


class Published(NamedTuple):
    """Scores of a paper.

    Attributes:
        name: of the agent.
        source: of the numbers.
        runs: of each game, as text; empty where that is not known here.
        mean: human-normalised, over games.
        median: likewise.
        iqm: likewise, over runs and games together; None if none was published.
        optimality_gap: likewise.
        scores: points by game; empty where only aggregates are known here.
    """

    name: str
    source: str
    runs: str
    mean: float | None = None
    median: float | None = None
    iqm: float | None = None
    optimality_gap: float | None = None
    scores: Mapping[str, float] = {}


_LINES = [line.split() for line in _TABLE.strip().splitlines()]
_column = lambda place: {line[0]: float(line[place]) for line in _LINES}

GAMES = tuple(line[0] for line in _LINES)
RANDOM, HUMAN = _column(1), _column(2)

_AGARWAL = "Agarwal et al. 2021 (arXiv 2108.13264)"
PUBLISHED = (
    Published(
        "SPR (paper)", "Schwarzer et al. 2021 (arXiv 2007.05929)", "10", 0.704, 0.415, scores=_column(3)
    ),
    Published("SPR", _AGARWAL, "100", 0.616, 0.396, 0.337, 0.577, _column(4)),
    Published("DER", _AGARWAL, "100", 0.350, 0.189, 0.183, scores=_column(5)),
    Published("DrQ(ε)", _AGARWAL, "100", 0.465, 0.313, 0.280, scores=_column(6)),
    Published("CURL", _AGARWAL, "100", 0.261, 0.092, 0.113, scores=_column(7)),
    Published("OTRainbow", "Kielak 2019", "", 0.264, 0.204, scores=_column(8)),
    Published("SR-SPR, ratio 16", "D'Oro et al. 2023", "", 1.272, 0.685, 0.63, scores=_column(9)),
    Published(
        "BBF, ratio 8",
        "Schwarzer et al. 2023 (arXiv 2305.19452)",
        "",
        2.247,
        0.917,
        1.045,
        0.344,
        _column(10),
    ),
    Published("DER (paper)", "van Hasselt et al. 2019", "", 0.285, 0.161),
    Published("DrQ (paper)", "Yarats et al. 2021", "", 0.357, 0.268),
    Published("CURL (paper)", "its paper", "", 0.381, 0.175),
    Published("SPR, its author's JAX code", "Dopamine, pull request 184", "100", None, 0.45),
    Published(
        "DreamerV3", "its curves, averaged over the window that Simulus uses", "5", 1.124, 0.485, 0.487
    ),
    Published("DIAMOND", "its data", "", 1.459, 0.373, 0.641),
    Published("TWISTER", "its paper", "", 1.62),
    Published("Simulus", "its data", "5", 1.645, 0.982, 0.990, 0.412),
    Published("EfficientZero", "its data", "", 1.943, 1.090),
)
"""First those with a column above, in its order; of the others only aggregates are known here."""
