"""HDR pictures shown on the scale of ordinary ones.

Light is in cd/m². White of an ordinary picture is put at 203 cd/m², the reference white of HDR programmes (ITU-R
BT.2408). Brighter light is bent into what is left above the knee of the curve of ITU-R BT.2390 (EETF, annex 5), so
that highlights keep their order; light below the knee, at 92 cd/m², stays as it is. The reference white itself
comes out at 78 % of the light, signal 0.90, 230 of 255.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

PQ, HLG = 16, 18  # transfer characteristics in ITU-T H.273
HDR_NAMES = {PQ: "PQ", HLG: "HLG"}
REFERENCE_WHITE = 203.0
PEAK = 1000.0  # of most HDR masters, and of HLG by definition; brighter light is shown as white

_BT709_PRIMARIES = 1
# Inverse of the conversion in ITU-R BT.2087: linear RGB of BT.2020 to linear RGB of BT.709.
_BT2020_TO_BT709 = np.linalg.inv(
    np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
)
_LEVELS = 65536
_DISPLAY_GAMMA = 2.4  # ITU-R BT.1886, on which BT.709 pictures are shown
_STRIPE = 32  # rows at a time stay in the processor's cache

# SMPTE ST 2084
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_PQ_PEAK = 10000.0
# ARIB STD-B67, ITU-R BT.2100
_HLG_A, _HLG_B, _HLG_C = 0.17883277, 0.28466892, 0.55991073
_HLG_SYSTEM_GAMMA = 1.2


class ToneMap:
    """Turns HDR pictures into ordinary ones with the primaries and the gamma of BT.709.

    Args:
        transfer: `PQ` or `HLG`.
        primaries: colour primaries by ITU-T H.273; all but BT.709 are taken for BT.2020.

    Attributes:
        coding: (transfer, primaries).
    """

    def __init__(self, transfer: int, primaries: int) -> None:
        self.coding = transfer, primaries
        signal = np.linspace(0, 1, _LEVELS)
        light = pq_light(signal) if transfer == PQ else hlg_light(signal)
        self._shown_light = shown_light(light).astype(np.float32)
        matrix = np.eye(3) if primaries == _BT709_PRIMARIES else _BT2020_TO_BT709
        # Rows add up to one exactly, so that grey stays grey.
        self._matrix = (matrix / matrix.sum(1, keepdims=True)).astype(np.float32)
        # Indexed by the square root of light, whose steps are fine enough in the dark.
        self._code = np.round(255 * np.linspace(0, 1, _LEVELS) ** (2 / _DISPLAY_GAMMA)).astype(np.uint8)

    def __call__(self, image: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """(H, W, 3) uint16 RGB, 65535 for the full signal, to (H, W, 3) uint8 RGB."""
        shown = np.empty(image.shape, dtype=np.uint8)
        for top in range(0, len(image), _STRIPE):
            rows = slice(top, top + _STRIPE)
            light = cv2.transform(self._shown_light.take(image[rows]), self._matrix)
            # Colours that BT.709 cannot show are cut off at its borders.
            np.clip(light, 0, 1, out=light)
            np.sqrt(light, out=light)
            light *= _LEVELS - 1
            shown[rows] = self._code.take(light.astype(np.uint16))
        return shown


def pq_light(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light in cd/m² of a PQ signal in [0, 1] (SMPTE ST 2084)."""
    root = signal ** (1 / _M2)
    return np.asarray(_PQ_PEAK * (np.maximum(root - _C1, 0) / (_C2 - _C3 * root)) ** (1 / _M1))


def pq_signal(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """PQ signal of light in cd/m², the inverse of `pq_light`."""
    power = (light / _PQ_PEAK) ** _M1
    return np.asarray(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)


def hlg_light(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light in cd/m² of an HLG signal in [0, 1] on a display of 1000 cd/m² (ITU-R BT.2100).

    The display's system gamma is taken of each channel instead of luminance: the same for greys.
    """
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - _HLG_C) / _HLG_A) + _HLG_B) / 12)
    return np.asarray(PEAK * scene**_HLG_SYSTEM_GAMMA)


def shown_light(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light in cd/m² to light on an ordinary display, 0 for black to 1 for white, by the curve of ITU-R BT.2390."""
    peak = pq_signal(np.array(PEAK))
    white = pq_signal(np.array(REFERENCE_WHITE)) / peak
    knee = 1.5 * white - 0.5
    signal = np.minimum(pq_signal(light) / peak, 1)
    t = np.maximum(signal - knee, 0) / (1 - knee)
    bent = (
        (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * white
    )  # a Hermite spline
    return np.asarray(pq_light(np.where(signal < knee, signal, bent) * peak) / REFERENCE_WHITE)
