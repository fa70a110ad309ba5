import gc
import weakref
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from color_segmenter import color_checkpoint, draw_frame
from safetensors.torch import load, save
from torch import nn

from qcen_core.config import LossConfig
from qcen_core.inference.postprocess import score_queries, select_instances
from qcen_core.inference.preprocess import FrameMasks, plan_geometry, to_input
from qcen_core.inference.segment_video import VideoSegmenter, segment_video
from qcen_core.inference.tracker import build_tracker
from qcen_core.structures import LayerPrediction, SegmenterOutput
from qcen_core.video.frames import SourceFrame

HEIGHT, WIDTH = 67, 103
RED, GREEN, BLUE = "red", "green", "blue"


def moving_squares(length: int = 11) -> list[SourceFrame]:
    """Red goes right and is away for frames 4 to 6, green goes left and passes it, blue comes in frame 3."""
    frames = []
    for t in range(length):
        squares = {GREEN: (70 - 6 * t, 37, 91 - 6 * t, 59)}
        if not 4 <= t <= 6:
            squares[RED] = (5 + 6 * t, 9, 26 + 6 * t, 31)
        if t >= 3:
            squares[BLUE] = (79, 3, 101, 23)
        frames.append(SourceFrame(draw_frame(HEIGHT, WIDTH, squares), t, Fraction(t, 7)))
    return frames


def grown(mask, pixels):
    square = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    return cv2.dilate(mask.astype(np.uint8), square).astype(bool)


@pytest.mark.parametrize(
    ("loss", "step", "blind"),
    [
        ({"contrast_weight": 0, "contrast_auxiliary_weight": 0}, 500, "contrast"),
        ({"exchange_start": 500}, 500, "contrast"),
        ({"exchange_start": 500}, 501, "queries"),
        ({"contrast_weight": 0}, 500, "queries"),
    ],
)
def test_embeddings_that_were_never_trained_are_not_read(loss, step, blind):
    checkpoint = color_checkpoint(blind=blind, overlap_weight=0.0)
    checkpoint.config = checkpoint.config.model_copy(update={"loss": LossConfig(**loss)})
    checkpoint.info = {"step": step}
    frames = list(segment_video(moving_squares(), checkpoint))
    assert {(i.class_id, i.track_id) for frame in frames for i in frame.instances} == {(0, 1), (1, 2), (2, 3)}


@pytest.mark.parametrize(("kind", "blind"), [("memory", "queries"), ("minvis", "contrast")])
def test_objects_keep_id_class_and_place(kind, blind):
    checkpoint = color_checkpoint(kind=kind, blind=blind, overlap_weight=0.0)
    tracked = list(segment_video(moving_squares(), checkpoint))
    assert [frame.index for frame in tracked] == list(range(11))
    assert [frame.time for frame in tracked] == [Fraction(t, 7) for t in range(11)]
    first_ids = {instance.class_id: instance.track_id for instance in tracked[3].instances}
    assert len(first_ids) == 3
    for frame, source in zip(tracked, moving_squares(), strict=True):
        assert (frame.height, frame.width) == (HEIGHT, WIDTH)
        visible = [int((source.image == color).all(-1).sum() > 0) for color in checkpoint.model.colors.int().numpy()]
        assert sorted(instance.class_id for instance in frame.instances) == list(np.flatnonzero(visible))
        for instance in frame.instances:
            assert instance.track_id == first_ids[instance.class_id]
            truth = (source.image == checkpoint.model.colors[instance.class_id].int().numpy()).all(-1)
            assert not (instance.mask & ~grown(truth, 2)).any()
            assert not (~instance.mask & ~grown(~truth, 2)).any()
            assert 0.9 < instance.score <= 1
            assert instance.class_logits.shape == (4,)
            assert instance.class_logits[:-1].argmax() == instance.class_id
        scores = [instance.score for instance in frame.instances]
        assert scores == sorted(scores, reverse=True)


def test_one_frame_is_read_for_one_result():
    asked = []

    def frames():
        for frame in moving_squares():
            asked.append(frame.index)
            yield frame

    results = segment_video(frames(), color_checkpoint())
    assert asked == []
    for number in range(3):
        assert next(results).index == number
        assert asked == list(range(number + 1))
        assert not torch.is_inference_mode_enabled()


def test_streaming_equals_segmenting_the_whole_video_at_once():
    frames, checkpoint = moving_squares(), color_checkpoint(overlap_weight=0.5)
    geometry = plan_geometry(HEIGHT, WIDTH, short_side=64, max_side=256)
    inputs = [to_input(frame.image, geometry, torch.device("cpu")) for frame in frames]
    tracker = build_tracker(checkpoint.config.tracker)
    with torch.no_grad():
        whole = checkpoint.model(*(torch.cat(tensors) for tensors in zip(*inputs, strict=True)))
    for t, streamed in enumerate(segment_video(frames, checkpoint)):
        layer = LayerPrediction(whole.final.class_logits[t : t + 1], whole.final.mask_logits[t : t + 1])
        output = SegmenterOutput((layer,), *(None if tensor is None else tensor[t : t + 1] for tensor in whole[1:]))
        prediction = score_queries(output, mask_cells=geometry.mask_cells)
        prediction = select_instances(prediction, keep=0.05, nms_iou=0.6, max_instances=100)
        tracks = tracker.step(prediction)
        assert [instance.track_id for instance in streamed.instances] == [i for i in tracks.ids.tolist() if i]
        masks = [window.full() for window in FrameMasks(geometry).windows(prediction.mask_logits)]
        np.testing.assert_array_equal([instance.mask for instance in streamed.instances], masks)


@pytest.mark.parametrize("kind", ["memory", "minvis"])
def test_a_restored_segmenter_goes_on_with_the_same_tracks(kind):
    frames, checkpoint = moving_squares(), color_checkpoint(kind=kind, overlap_weight=0.5)
    whole = list(segment_video(frames, checkpoint))
    for taken_after in (0, 1, 5, 10):  # red is away in frame 5
        first, second = VideoSegmenter(checkpoint), VideoSegmenter(checkpoint)
        for frame in frames[:taken_after]:
            first.step(frame)
        second.restore(load(save(first.state())))
        for frame, expected in zip(frames[taken_after:], whole[taken_after:], strict=True):
            found = second.step(frame)
            assert len(found.instances) == len(expected.instances)
            for one, other in zip(found.instances, expected.instances, strict=True):
                assert (one.track_id, one.class_id, one.score) == (other.track_id, other.class_id, other.score)
                np.testing.assert_array_equal(one.mask, other.mask)
                np.testing.assert_array_equal(one.class_logits, other.class_logits)


def test_the_model_sees_the_wanted_size():
    checkpoint = color_checkpoint(short_side=64)
    list(segment_video(moving_squares(1), checkpoint))
    list(segment_video(moving_squares(1), checkpoint, short_side=33))
    assert checkpoint.model.shapes == [(1, 3, 64, 128), (1, 3, 64, 64)]


def test_tracker_choice_of_the_caller_wins():
    checkpoint = color_checkpoint()
    strict = checkpoint.config.tracker.model_copy(update={"max_instances": 1})
    assert [len(frame.instances) for frame in segment_video(moving_squares(5), checkpoint, strict)] == [1] * 5


def test_padding_that_lights_up_reaches_no_mask():
    frame = SourceFrame(draw_frame(HEIGHT, WIDTH, {RED: (7, 11, 29, 31)}), 0, Fraction(0))
    (tracked,) = segment_video([frame], color_checkpoint())
    assert len(tracked.instances) == 1
    assert not tracked.instances[0].mask[:, -13:].any()
    assert not tracked.instances[0].mask[-13:].any()


def test_empty_frames_and_empty_videos():
    empty = SourceFrame(draw_frame(HEIGHT, WIDTH, {}), 0, Fraction(0))
    for kind in ("memory", "minvis"):
        assert [frame.instances for frame in segment_video([empty, empty], color_checkpoint(kind=kind))] == [(), ()]
    assert list(segment_video([], color_checkpoint())) == []


class FixedSegmenter(nn.Module):
    """Says the same of every frame of 64 x 128 pixels."""

    def __init__(self, class_logits, mask_logits):
        super().__init__()
        self.layer = LayerPrediction(class_logits[None], mask_logits[None])

    def encode(self, frames, valid):
        return frames, valid

    def decode(self, features, *, every_layer=True):  # noqa: ARG002
        del features
        embeddings = torch.eye(self.layer.class_logits.shape[1])[None]
        return SegmenterOutput((self.layer,), embeddings, embeddings, self.layer.mask_logits, embeddings, embeddings)


@pytest.mark.parametrize("kind", ["memory", "minvis"])
def test_what_is_weak_or_has_no_pixel_is_not_shown(kind):
    masks = torch.full((3, 16, 32), -9.0)
    masks[0, 3, 5] = 0.1  # one cell, gone when enlarged
    masks[1, 4:, 7:11] = masks[2, :, 17:] = 9.0
    classes = torch.tensor([[9.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 6.0], [0.0, 9.0, 0.0, 0.0]])
    checkpoint = color_checkpoint(kind=kind)
    checkpoint.model = FixedSegmenter(classes, masks)
    for frame in segment_video(moving_squares(3), checkpoint):
        assert [instance.class_id for instance in frame.instances] == [1]


def test_neither_pictures_nor_masks_are_kept():
    pictures, masks = [], []

    def frames():
        for frame in moving_squares(7):
            picture = frame.image.copy()
            pictures.append(weakref.ref(picture))
            yield SourceFrame(picture, frame.index, frame.time)
            del picture

    for tracked in segment_video(frames(), color_checkpoint()):
        masks += [weakref.ref(instance.mask) for instance in tracked.instances]
    del tracked
    gc.collect()
    assert [alive() for alive in pictures] == [None] * 7
    assert masks
    assert all(alive() is None for alive in masks)


def test_the_limit_of_the_long_side_grows_with_the_short_side():
    frame = [SourceFrame(np.zeros((53, 211, 3), np.uint8), 0, Fraction(0))]  # four times as wide as high
    checkpoint = color_checkpoint(short_side=64)  # of at most 256
    list(segment_video(frame, checkpoint))
    list(segment_video(frame, checkpoint, short_side=96))
    assert [shape[-2:] for shape in checkpoint.model.shapes] == [(64, 256), (96, 384)]
