from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_video import color_frame, make_video

from qcen_core.video.reader import open_source
from qcen_core.video.tone_map import HLG, PQ, ToneMap, hlg_light, pq_light, pq_signal

BT709, BT2020 = 1, 9
NOTES = {PQ: "HDR (PQ) was tone-mapped to 8-bit", HLG: "HDR (HLG) was tone-mapped to 8-bit"}


def shown(signal: tuple[float, float, float] | float, transfer: int = PQ, primaries: int = BT2020) -> list[int]:
    picture = np.broadcast_to(np.round(65535 * np.asarray(signal, dtype=float)).astype(np.uint16), (1, 1, 3))
    return ToneMap(transfer, primaries)(np.ascontiguousarray(picture))[0, 0].tolist()


# Light and signal as the tables of ITU-R BT.2408 list them, in per cent of the signal's range.
@pytest.mark.parametrize(("light", "signal"), [(1, 0.15), (26, 0.38), (203, 0.58), (1000, 0.75), (10000, 1.0)])
def test_pq_follows_the_published_table(light, signal):
    assert float(pq_signal(np.array(light))) == pytest.approx(signal, abs=0.006)
    assert float(pq_light(pq_signal(np.array(light)))) == pytest.approx(light)


@pytest.mark.parametrize(("signal", "light"), [(0.0, 0), (0.5, 50.7), (0.75, 203), (1.0, 1000)])
def test_hlg_follows_the_published_table(signal, light):
    assert float(hlg_light(np.array(signal))) == pytest.approx(light, abs=0.3)


def test_black_middle_white_and_peak_by_hand():
    assert shown(0.0) == [0, 0, 0]
    # 10 cd/m² lie below the knee: 255 * (10 / 203) ** (1 / 2.4) = 72.7.
    assert shown(pq_signal(10.0)) == [73, 73, 73]
    # By hand: signal 0.5807 of 0.7518 is 0.7724 of the peak's; knee 0.6586; t = 0.3333; the spline gives 0.7384,
    # 0.5551 in PQ, 159 cd/m²; 255 * (159 / 203) ** (1 / 2.4) = 230.
    assert shown(pq_signal(203.0)) == [230, 230, 230]
    assert shown(0.75, HLG) == [230, 230, 230]
    assert shown(pq_signal(1000.0)) == shown(1.0) == shown(1.0, HLG) == [255, 255, 255]


def test_a_colour_within_bt709_is_converted_by_hand():
    # 80, 40 and 20 cd/m² in BT.2020 by the matrix of ITU-R BT.2407 are 107.9, 35.2 and 16.9 in BT.709 (no knee
    # before the matrix is reached); to the power of 1 / 2.4 of 203 they are:
    matrix = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
    light = np.array(matrix) @ [80, 40, 20]
    expected = 255 * (light / 203) ** (1 / 2.4)
    signal = tuple(float(pq_signal(np.array(float(part)))) for part in (80, 40, 20))
    np.testing.assert_allclose(shown(signal), expected, atol=0.6)
    assert shown(signal, primaries=BT709) == [round(255 * (part / 203) ** (1 / 2.4)) for part in (80, 40, 20)]


@pytest.mark.parametrize("pure", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1), (1, 0, 1)])
def test_colours_outside_bt709_are_cut_off_not_wrapped(pure):
    for strength in (0.2, 0.5, 0.75, 1.0):
        values = shown(tuple(strength * part for part in pure))
        assert min(value for value, part in zip(values, pure, strict=True) if part) > max(
            [value for value, part in zip(values, pure, strict=True) if not part], default=0
        )


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_greys_stay_grey_and_keep_their_order(transfer):
    ramp = np.repeat(np.arange(0, 65536, 17, dtype=np.uint16)[:, None], 3, axis=1)[None]
    values = ToneMap(transfer, BT2020)(ramp)[0].astype(int)
    assert np.ptp(values, axis=1).max() <= 1
    assert (np.diff(values[:, 1]) >= 0).all()
    assert (values[0, 0], values[-1, 0]) == (0, 255)


@given(st.tuples(*[st.floats(0, 1)] * 3), st.sampled_from([PQ, HLG]))
def test_stripes_do_not_show(color, transfer):
    picture = np.broadcast_to(np.round(65535 * np.array(color)).astype(np.uint16), (67, 5, 3))
    assert np.ptp(ToneMap(transfer, BT2020)(np.ascontiguousarray(picture)).reshape(-1, 3), axis=0).max() == 0


def hdr_video(path: Path, luma: int, transfer: int, codec: str, options: dict[str, str]) -> Path:
    """Three grey frames of 10 bits, with the marks of HDR."""
    with av.open(str(path), "w") as output:
        video = output.add_stream(codec, rate=25, options=options)
        video.height, video.width, video.pix_fmt = 46, 74, "yuv420p10le"
        context = video.codec_context
        context.color_trc, context.color_primaries, context.colorspace = transfer, BT2020, BT2020
        context.color_range = 1
        for index in range(3):
            frame = av.VideoFrame(74, 46, "yuv420p10le")
            for plane, value in zip(frame.planes, (luma, 512, 512), strict=True):
                plane.update(np.full(plane.buffer_size // 2, value, np.uint16).tobytes())
            frame.pts = index
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    return path


@pytest.mark.parametrize(
    ("codec", "suffix", "options"),
    [("ffv1", ".mkv", {}), ("libx264", ".mkv", {}), ("libx265", ".mp4", {"x265-params": "log-level=none"})],
)
@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_video_is_tone_mapped_with_one_note(tmp_path, codec, suffix, options, transfer):
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV cannot write with {codec}")
    signal = {PQ: 0.5807, HLG: 0.75}[transfer]
    path = hdr_video(tmp_path / f"hdr{suffix}", round(64 + 876 * signal), transfer, codec, options)
    with open_source(path) as source:
        images = [frame.image for frame in source.frames()]
    assert source.notes == [NOTES[transfer]]
    assert len(images) == 3
    # 203 cd/m², see above; half a step of 10 bits more or less.
    assert all(image.shape == (46, 74, 3) and np.abs(image.astype(int) - 230).max() <= 2 for image in images)


def test_ten_bits_without_hdr_are_an_ordinary_picture(tmp_path):
    path = make_video(tmp_path / "ten.mkv", pixels="yuv420p10le")
    with open_source(path) as source:
        images = [frame.image for frame in source.frames()]
    assert source.notes == []
    for index in (0, 7, 11):
        middle = images[index][24:50, 9:80].astype(int)
        assert np.abs(middle - color_frame(index)[24:50, 9:80]).max() <= 3
