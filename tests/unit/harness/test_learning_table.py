import json

import pytest
from learning_results import made_result, store

from benchmarks.learning_plots import PAPER_SHARE, curve_chart, draw_plots, mean_curve, precision_bars
from benchmarks.learning_rows import benchmark_of
from benchmarks.learning_statistics import Cell
from benchmarks.learning_table import cell_text, make_table, markdown, put_between, summary, terminal
from qcen_core.errors import InputError

STANDARD = benchmark_of("shapes_standard")
PRECISION = {
    "mask+id": (0.40, 0.50),
    "mask": (0.40, 0.40),
    "box": (0.20, 0.30),
    "qcen": (0.36, 0.45),
    "box+qeml": (0.3,),
}


@pytest.fixture
def results(tmp_path):
    for name, values in PRECISION.items():
        for seed, value in enumerate(values):
            store(tmp_path, made_result(STANDARD, name, seed, value))
    return tmp_path


def line_of(table, name):
    return next(line for line in table.lines if line.row.name == name)


def test_cells_are_in_percent_and_compared_by_seed(results):
    table = make_table(STANDARD, results)
    cells = line_of(table, "qcen").cells
    assert cells["AP"].mean == pytest.approx(40.5)
    assert cells["AP"].spread == pytest.approx(9 / 2**0.5)
    assert cells["AP50"] is None
    assert cells["over_box_AP"].mean == pytest.approx(15.5)
    assert cells["over_box_AP"].spread == pytest.approx(1 / 2**0.5)
    assert cells["of_mask_AP"].mean == pytest.approx(81 / 80)
    assert cells["of_mask_id_AP"].mean == pytest.approx(0.9)
    assert cells["of_mask_id_AP"].spread == pytest.approx(0, abs=1e-12)
    assert line_of(table, "box").cells["over_box_AP"] is None


def test_one_experiment_stands_under_both_its_names(results):
    table = make_table(STANDARD, results)
    assert line_of(table, "qcen-iqc").cells == line_of(table, "box+qeml").cells
    assert line_of(table, "qcen-iqc").trained_as == "box+qeml"
    assert "`qcen-iqc` is `box+qeml`" in markdown(table)


def test_rows_without_results_are_named_below(results):
    table = make_table(STANDARD, results)
    assert "mask+id-all" in table.missing
    assert not [line for line in table.lines if line.row.name == "mask+id-all"]
    assert "Not run yet: `mask+id-all`" in markdown(table)


def test_results_of_other_settings_are_left_out(results):
    changed = made_result(STANDARD, "box", 2, 0.9)
    changed.configuration["train.steps"] = 17
    store(results, changed)
    table = make_table(STANDARD, results)
    assert table.stale == ("box-seed2.json",)
    assert line_of(table, "box").seeds == 2
    tried = make_table(STANDARD, results, extra=("train.steps=17",))
    assert [line.row.name for line in tried.lines] == ["box"]


def test_different_clips_make_no_table(results):
    store(results, made_result(STANDARD, "box", 2, 0.9, data={"training": "x", "test": "y"}))
    with pytest.raises(InputError, match="different clips"):
        make_table(STANDARD, results)


def test_a_renamed_result_is_refused(results):
    (results / "shapes_standard" / "box-seed0.json").rename(results / "shapes_standard" / "box-seed7.json")
    with pytest.raises(InputError, match="box-seed7"):
        make_table(STANDARD, results)


def test_the_reference_rows_count_even_where_they_are_not_shown(results):
    table = make_table(STANDARD, results, ("qcen",))
    assert [line.row.name for line in table.lines] == ["qcen"]
    assert table.lines[0].cells["of_mask_id_AP"].mean == pytest.approx(0.9)


def test_the_text_of_the_table(results):
    text = markdown(make_table(STANDARD, results))
    lines = text.splitlines()
    assert [line.count("|") for line in lines if line.startswith("| row |")] == [11, 10]
    figures, comparisons = [line for line in lines if line.startswith("| `qcen` |")]
    assert figures == (
        "| `qcen` | boxes, full QCEN | 40.5 ± 6.4 (2) | - | 20.2 ± 3.2 (2) | 75.0 ± 0.0 (2) | 50.0 ± 0.0 (2) "
        "| - | - | 2 |"
    )
    assert comparisons == (
        "| `qcen` | boxes, full QCEN | - | - | - | 15.5 ± 0.7 (2) | 1.012 ± 0.159 (2) | 0.900 ± 0.000 (2) | 2 |"
    )
    assert "7 test clips" in text
    assert "Revisions 01234567, fedcba98+." in text
    table = make_table(STANDARD, results)
    assert [part.row_count for part in terminal(table)] == [len(table.lines)] * 2


def test_both_trackers_are_compared(tmp_path):
    for name, with_overlap, alone in (("box", 0.5, 0.2), ("mask", 0.6, 0.3), ("mask+id", 0.8, 0.4), ("qcen", 0.6, 0.5)):
        figures = {"AP": with_overlap, "AP_queries": alone}
        store(tmp_path, made_result(STANDARD, name, 0, 0.0, figures=figures))
    cells = line_of(make_table(STANDARD, tmp_path), "qcen").cells
    found = {name: cell.mean for name, cell in cells.items() if name.startswith(("over", "of")) and cell is not None}
    assert found == pytest.approx(
        {
            "over_box_AP": 10,
            "of_mask_AP": 1,
            "of_mask_id_AP": 0.75,
            "over_box_AP_queries": 30,
            "of_mask_AP_queries": 5 / 3,
            "of_mask_id_AP_queries": 1.25,
        }
    )


def test_a_cell_says_how_many_seeds_where_they_are_few():
    assert cell_text(Cell(1.26, 0.05, 3), 1) == "1.3 ± 0.1"
    assert cell_text(Cell(1.26, 0.05, 2), 1) == "1.3 ± 0.1 (2)"
    assert cell_text(Cell(0.914, None, 1), 3) == "0.914 (1)"
    assert cell_text(None, 1) == "-"


def test_the_summary_is_json_with_plain_figures(results):
    content = json.loads(json.dumps(summary(make_table(STANDARD, results)), allow_nan=False))
    assert content["rows"]["qcen"]["cells"]["of_mask_id_AP"]["mean"] == pytest.approx(0.9)
    assert content["rows"]["qcen-iqc"]["seeds"] == [0]


def test_prose_around_a_table_survives():
    text = (
        "# Head\n\nbefore\n\n<!-- table a -->\nold\n<!-- end -->\n\nbetween\n\n<!-- table b -->\n<!-- end -->\nafter\n"
    )
    once = put_between(text, "a", "| new |")
    assert once == text.replace("\nold\n", "\n| new |\n")
    assert put_between(once, "a", "| new |") == once
    both = put_between(once, "b", "B")
    assert "<!-- table b -->\nB\n<!-- end -->\nafter\n" in both
    assert put_between("# Head\n", "c", "C") == "# Head\n\n<!-- table c -->\nC\n<!-- end -->\n"
    with pytest.raises(InputError, match="table a has no end"):
        put_between("<!-- table a -->\nold\n", "a", "new")


def test_bars_hold_each_experiment_once_and_the_share_of_the_paper(results):
    chart = precision_bars(make_table(STANDARD, results), "AP")
    labels = [bar.label for bar in chart.bars]
    assert "QCEN without contrast" not in labels
    assert len(labels) == len(PRECISION)
    assert chart.references[0][1] == pytest.approx(PAPER_SHARE * 45)
    assert chart.bars[-1].points == pytest.approx((30.0,))


def test_curves_are_means_over_seeds_in_percent(results):
    table = make_table(STANDARD, results)
    chart = curve_chart("t", "AP", ("mask+id", "box+inter"), table.results, 100.0)
    (series,) = chart.series
    assert series.x == [10.0, 20.0]
    assert series.y == pytest.approx([22.5, 45.0])
    assert set(draw_plots(table)) == {"ap", "ap_queries", "validation"}


def test_a_mean_curve_has_the_steps_of_all():
    assert mean_curve([([1, 2, 3], [1.0, 2.0, 3.0]), ([2, 3, 4], [4.0, 6.0, 8.0])]) == ([2, 3], [3.0, 4.5])
