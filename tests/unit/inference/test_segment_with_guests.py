"""The whole way from frames to tracks with guests: a segmenter that misses objects which guests still find."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from color_segmenter import COLORS, ColorSegmenter, color_checkpoint, draw_frame

from qcen_core.config import LossConfig
from qcen_core.inference.segment_video import segment_video
from qcen_core.structures import LayerPrediction
from qcen_core.video.frames import SourceFrame

HEIGHT, WIDTH = 51, 83
RED, GREEN, BLUE = COLORS


class ForgetfulSegmenter(ColorSegmenter):
    """Its own queries miss `missed` (frame, colour); guests find every colour that is there."""

    def __init__(self, missed):
        super().__init__()
        self.missed = missed
        self.visitors = []

    def decode(self, features, *, every_layer=True):  # noqa: ARG002
        output = self(*features)
        classes = output.final.class_logits.clone()
        for frame, color in self.missed:
            if frame == len(self.shapes) - 1:
                classes[0, :, list(COLORS).index(color)] = -3.0
        return output._replace(layers=(LayerPrediction(classes, output.final.mask_logits),))

    def visit(self, features, guests, *, every_layer=True):  # noqa: ARG002
        """The guest whose query is one-hot in a colour draws that colour."""
        self.visitors.append(guests.queries.shape[1])
        own = self(*features)
        self.shapes.pop()
        rows = (guests.queries[0] @ own.queries[0].T).argmax(1)
        layer = LayerPrediction(own.final.class_logits[:, rows], own.final.mask_logits[:, rows])
        return own._replace(
            layers=(layer,),
            queries=own.queries[:, rows],
            positions=own.positions[:, rows],
            mask_embeddings=own.mask_embeddings[:, rows],
            contrast_embeddings=own.contrast_embeddings[:, rows],
        )


def checkpoint_of(missed=(), loss=None, **tracker):
    checkpoint = color_checkpoint(short_side=HEIGHT, **tracker)
    checkpoint.model = ForgetfulSegmenter(missed).eval()
    loss = LossConfig(**({"exchange": "decoder"} | (loss or {})))
    checkpoint.config = checkpoint.config.model_copy(update={"loss": loss})
    return checkpoint


def video(length, vanish_at=None):
    """Red goes right, green stands; red is gone from frame `vanish_at` on."""
    frames = []
    for t in range(length):
        squares = {GREEN: (5, 29, 23, 47)}
        if vanish_at is None or t < vanish_at:
            squares[RED] = (3 + 6 * t, 5, 21 + 6 * t, 21)
        frames.append(SourceFrame(draw_frame(HEIGHT, WIDTH, squares), t, Fraction(t, 25)))
    return frames


def ids_of(frame):
    return sorted(instance.track_id for instance in frame.instances)


def of_class(frame, color):
    [found] = [instance for instance in frame.instances if instance.class_id == list(COLORS).index(color)]
    return found


def test_a_missed_object_is_shown_where_its_guest_sees_it():
    missed = [(3, RED), (4, RED), (5, RED)]
    frames = video(8)
    tracked = list(segment_video(frames, checkpoint_of(missed)))
    first = of_class(tracked[0], RED).track_id
    for t, frame in enumerate(tracked):
        red = of_class(frame, RED)
        assert red.track_id == first
        true = (frames[t].image == COLORS[RED]).all(-1)
        assert (red.mask & true).sum() >= 0.8 * (red.mask | true).sum()
        assert [i.score for i in frame.instances] == sorted((i.score for i in frame.instances), reverse=True)


def test_it_is_carried_no_further_than_allowed_and_keeps_its_id():
    missed = [(t, RED) for t in range(2, 6)]
    tracked = list(segment_video(video(8), checkpoint_of(missed, guest_frames=2)))
    assert [len(frame.instances) for frame in tracked] == [2, 2, 2, 2, 1, 1, 2, 2]
    assert {i for frame in tracked for i in ids_of(frame)} == {1, 2}


def test_an_object_that_is_gone_is_not_carried():
    tracked = list(segment_video(video(7, vanish_at=4), checkpoint_of()))
    assert [len(frame.instances) for frame in tracked] == [2, 2, 2, 2, 1, 1, 1]


def test_every_remembered_track_visits_and_no_other():
    checkpoint = checkpoint_of([(0, GREEN)], max_age=2)
    list(segment_video(video(9, vanish_at=3), checkpoint))
    # Frame 0 shows red alone; from frame 1 on there are two tracks, until red has been gone for more than two frames.
    assert checkpoint.model.visitors == [1, 2, 2, 2, 2, 1, 1, 1]


def test_empty_frames_have_no_guests():
    checkpoint = checkpoint_of()
    empty = [SourceFrame(draw_frame(HEIGHT, WIDTH, {}), t, Fraction(t)) for t in range(3)]
    assert [frame.instances for frame in segment_video(empty, checkpoint)] == [()] * 3
    assert checkpoint.model.visitors == []


@pytest.mark.parametrize(
    ("loss", "tracker"),
    [
        ({"exchange": "mask"}, {}),
        ({"intra_weight": 0.0}, {}),
        ({"exchange_start": 10**9}, {}),
        ({}, {"kind": "minvis"}),
    ],
)
def test_models_that_did_not_learn_it_have_no_guests(loss, tracker):
    checkpoint, plain = checkpoint_of([(3, RED)], loss, **tracker), checkpoint_of([(3, RED)], loss, **tracker)
    del checkpoint.model.visitors  # a visit would fail
    plain.config = plain.config.model_copy(update={"loss": LossConfig(intra_weight=0.0)})
    same_contrast = "exchange_start" not in loss
    for found, expected in zip(segment_video(video(6), checkpoint), segment_video(video(6), plain), strict=True):
        assert ids_of(found) == ids_of(expected)
        assert len(found.instances) == (1 if found.index == 3 else 2)
        if same_contrast:
            for one, other in zip(found.instances, expected.instances, strict=True):
                np.testing.assert_array_equal(one.mask, other.mask)


def test_inference_leaves_no_trace_in_torch():
    list(segment_video(video(3), checkpoint_of()))
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
