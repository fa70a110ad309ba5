"""What a clip of shapes shows: which shapes there are and how they look, at three levels."""

import colorsys
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from qcen_core.conversion.made.clip_scene import ClipLevel, Scene, draw_scene

Colour = tuple[float, float, float]

CATEGORY_NAMES = ("circle", "square", "triangle", "star", "cross")
# One hue band a category, centres in degrees; half a band is `HUE_BAND` wide and no two bands touch.
CATEGORY_HUES = (352.0, 40.0, 150.0, 212.0, 282.0)
HUE_BAND = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapesLevel(ClipLevel):
    """How hard clips of shapes are.

    Attributes:
        clutter: number of distractors in the background.
    """

    clutter: int


LEVELS = MappingProxyType(
    {
        level.name: level
        for level in (
            ShapesLevel(
                name="easy",
                objects=(2, 4),
                diameter=(0.28, 0.5),
                twin_share=0.1,
                speed=0.022,
                spin=0.05,
                scale_change=0.1,
                occlusion=0.35,
                leaving=0.15,
                clutter=6,
                camera=0.008,
                shutter=0.2,
                noise=1.5,
                frame_stride=1.0,
            ),
            ShapesLevel(
                name="standard",
                objects=(2, 5),
                diameter=(0.22, 0.44),
                twin_share=0.35,
                speed=0.04,
                spin=0.12,
                scale_change=0.2,
                occlusion=0.55,
                leaving=0.25,
                clutter=12,
                camera=0.015,
                shutter=0.5,
                noise=4.0,
                frame_stride=1.0,
            ),
            ShapesLevel(
                name="hard",
                objects=(3, 5),
                diameter=(0.18, 0.4),
                twin_share=0.6,
                speed=0.05,
                spin=0.2,
                scale_change=0.3,
                occlusion=0.8,
                leaving=0.35,
                clutter=20,
                camera=0.025,
                shutter=0.9,
                noise=8.0,
                frame_stride=1.6,
            ),
        )
    }
)


@dataclass(frozen=True, slots=True)
class Look:
    """How an object looks. Twins share one `Look`.

    Attributes:
        class_id: its category, which fixes shape and kind of texture.
        colour: RGB, 0 to 1, within the category's hue band.
        second_colour: RGB of the texture's other half.
        period: of the texture, in radii of the object.
    """

    class_id: int
    colour: Colour
    second_colour: Colour
    period: float


def draw_shapes(level: ShapesLevel, rng: np.random.Generator, aspect: float) -> Scene[Look]:
    """Draws a scene of shapes by lot; strangers differ in their category.

    Args:
        level: how hard it shall be.
        rng: source of all chance.
        aspect: frame width over frame height.
    """
    return draw_scene(level, rng, aspect, len(CATEGORY_NAMES), _draw_look)


def _draw_look(class_id: int, rng: np.random.Generator) -> Look:
    hue = ((CATEGORY_HUES[class_id] + rng.uniform(-HUE_BAND, HUE_BAND)) % 360.0) / 360.0
    saturation, value = rng.uniform(0.6, 0.85), rng.uniform(0.72, 0.95)
    colour = colorsys.hsv_to_rgb(hue, saturation, value)
    if rng.random() < 0.5:
        second = colorsys.hsv_to_rgb(hue, saturation * rng.uniform(0.3, 0.45), min(1.0, value * 1.12))
    else:
        second = colorsys.hsv_to_rgb(hue, min(1.0, saturation * 1.15), value * rng.uniform(0.5, 0.65))
    return Look(class_id, colour, second, rng.uniform(0.42, 0.55))
