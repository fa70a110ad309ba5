"""Colours for any number of tracks, told apart also by colour-blind eyes."""

import math

Color = tuple[int, int, int]

INK: Color = (24, 24, 27)
PAPER: Color = (255, 255, 255)

# Searched by annealing in OKLab: the least distance of any two of the first eight, and of all sixteen, is as large as
# it gets for normal, red-blind, green-blind and blue-blind eyes at once, among colours that are neither dull nor neon.
# The first three were given. What a hue does not tell apart, the lightness does.
_FIRST_COLORS: tuple[Color, ...] = (
    (255, 101, 6),  # orange
    (32, 179, 248),  # sky blue
    (243, 228, 44),  # yellow
    (114, 11, 158),  # violet
    (155, 15, 0),  # dark red
    (85, 255, 239),  # aqua
    (173, 104, 162),  # mauve
    (27, 99, 233),  # blue
    (187, 46, 81),  # raspberry
    (220, 189, 27),  # mustard
    (127, 78, 185),  # lavender
    (180, 97, 3),  # brown
    (41, 138, 239),  # azure
    (242, 144, 135),  # salmon
    (160, 51, 136),  # magenta
    (128, 37, 87),  # plum
)
_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
# Start and lightnesses of the series of colours that follow the searched ones.
_FIRST_HUE = 0.78
_LIGHTNESSES = (0.60, 0.45, 0.73, 0.86)
_CHROMA = 0.15


def track_color(track_id: int) -> Color:
    """The colour of a track: the same in every frame, every picture and every run.

    Args:
        track_id: from 1; any whole number works.

    Returns:
        Red, green, blue, 0 to 255.
    """
    index = abs(track_id - 1)
    if index < len(_FIRST_COLORS):
        return _FIRST_COLORS[index]
    # Golden-ratio steps never repeat a hue; the lightness changes too, since hue alone is not seen by everybody.
    hue = 2 * math.pi * ((index * _GOLDEN_RATIO + _FIRST_HUE) % 1)
    return _from_oklch(_LIGHTNESSES[index % len(_LIGHTNESSES)], _CHROMA, hue)


def text_color(background: Color) -> Color:
    """Dark or light, whichever reads better on a background (contrast as WCAG defines it)."""
    luminance = relative_luminance(background)
    dark, light = relative_luminance(INK), relative_luminance(PAPER)
    contrast_dark = (luminance + 0.05) / (dark + 0.05)
    contrast_light = (light + 0.05) / (luminance + 0.05)
    return INK if contrast_dark >= contrast_light else PAPER


def relative_luminance(color: Color) -> float:
    """Luminance of an sRGB colour, 0 for black to 1 for white."""
    red, green, blue = (_to_linear(value / 255) for value in color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def hex_color(color: Color) -> str:
    """A colour as `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def _to_linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _to_gamma(value: float) -> float:
    return value * 12.92 if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055


def _from_oklch(lightness: float, chroma: float, hue: float) -> Color:
    """SRGB of an OKLCH colour (Ottosson 2020), clipped to what a screen shows."""
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    red, green, blue = (round(255 * _to_gamma(min(max(value, 0.0), 1.0))) for value in linear)
    return red, green, blue
