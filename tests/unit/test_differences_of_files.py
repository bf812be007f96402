"""Files against each other: paths, lines, tables joined on a key."""

import math

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from core.mlflow_api.nouns import ArtifactFile
from core.runs import contents

cells = st.none() | st.integers(-5, 5) | st.floats(allow_infinity=False) | st.text(max_size=3)
rows = st.lists(st.tuples(cells, cells), max_size=12)


def table(of: list[tuple[object, object]]) -> pd.DataFrame:
    """Rows with a key that tells them apart."""
    return pd.DataFrame(
        {"id": [f"k{i}" for i in range(len(of))], "a": [r[0] for r in of], "b": [r[1] for r in of]},
        dtype=object,
    )


class TestWalk:
    def test_deep_folders(self) -> None:
        tree = {
            "": [ArtifactFile("d", True, None), ArtifactFile("x", False, 1)],
            "d": [ArtifactFile("d/e", True, None)],
            "d/e": [ArtifactFile("d/e/y", False, 2)],
        }
        found = contents.walk(tree.__getitem__)
        assert found == contents.Listing({"x": 1, "d/e/y": 2}, complete=True)

    def test_caps_are_told(self) -> None:
        endless = contents.walk(lambda p: [ArtifactFile(f"{p}/d", True, None)])
        assert not endless.complete
        many = [ArtifactFile(str(i), False, 0) for i in range(contents.FILES + 1)]
        found = contents.walk(lambda _: many)
        assert len(found.files) == contents.FILES
        assert not found.complete


class TestTexts:
    lines = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=30)

    @given(lines, lines)
    def test_both_texts_are_there_in_full(self, left: list[str], right: list[str]) -> None:
        one, other = "\n".join(left), "\n".join(right)
        found = contents.compare_texts(one, other, differences_only=False)
        assert [x.left for x in found.lines if x.left is not None] == one.splitlines()
        assert [x.right for x in found.lines if x.right is not None] == other.splitlines()
        assert all((x.left == x.right) == (x.mark == "") for x in found.lines)
        assert (found.changed == 0) == (one.splitlines() == other.splitlines())

    def test_equal_lines_far_from_a_difference_are_left_out(self) -> None:
        one = [str(i) for i in range(50)]
        other = [*one[:25], "new", *one[25:]]
        found = contents.compare_texts("\n".join(one), "\n".join(other))
        assert [x.mark for x in found.lines] == ["", "", "", "+", "", "", "", "…"]
        assert found.changed == 1

    def test_a_long_text_is_cut_and_told(self) -> None:
        found = contents.compare_texts("x\n" * (contents.LINES + 1), "x")
        assert found.cut


class TestTables:
    @given(rows, st.randoms())
    def test_the_order_of_rows_makes_no_difference(
        self, of: list[tuple[object, object]], chance: object
    ) -> None:
        frame = table(of)
        mixed = frame.sample(frac=1, random_state=chance.randint(0, 99))  # type: ignore[attr-defined]
        found = contents.compare_tables(frame, mixed.reset_index(drop=True), "id")
        assert (found.only_left, found.only_right, found.common) == (0, 0, len(of))
        assert found.differing == 0

    @given(rows.filter(bool), st.integers(0, 11), st.sampled_from("ab"))
    def test_a_changed_cell_is_found(
        self, of: list[tuple[object, object]], at: int, column: str
    ) -> None:
        frame, at = table(of), at % len(of)
        other = frame.copy()
        other.loc[at, column] = "other than all"
        found = contents.compare_tables(frame, other, "id")
        assert found.differing == len(found.cells) == 1
        row = found.cells.iloc[0]
        assert (row["key"], row["column"], row["right"]) == (f"k{at}", column, "other than all")

    @given(rows, rows)
    def test_rows_of_one_side_are_counted(
        self, one: list[tuple[object, object]], other: list[tuple[object, object]]
    ) -> None:
        found = contents.compare_tables(table(one), table(other), "id")
        assert found.common + found.only_left == len(one)
        assert found.common + found.only_right == len(other)

    def test_numbers_are_compared_as_such(self) -> None:
        left = pd.DataFrame({"k": [1, 2, 3], "v": [1, 2, 3]})
        right = pd.DataFrame({"k": [1.0, 2.0, math.nan], "v": [1.0, 2.5, 3.0]})
        found = contents.compare_tables(left, right, "k")
        assert (found.common, found.only_left, found.only_right) == (2, 1, 1)
        assert found.cells[["key", "left", "right"]].to_numpy().tolist() == [["2", 2, 2.5]]

    def test_keys_that_repeat_are_taken_in_order(self) -> None:
        left = pd.DataFrame({"k": ["a", "a"], "v": [1, 2]})
        right = pd.DataFrame({"k": ["a", "a", "a"], "v": [1, 3, 4], "w": 0})
        found = contents.compare_tables(left, right, "k")
        assert (found.common, found.only_right, found.differing) == (2, 1, 1)
        assert found.columns_right == ("w",)
        assert contents.keys(left, right) == ["v", "k"]
        assert not contents.is_key(left, right, "k")
        assert contents.compare_tables(left, right, None).common == 2

    def test_columns_that_tell_rows_apart_come_first(self) -> None:
        frame = pd.DataFrame({"x": [1, 1], "id": [1, 2]})
        assert contents.keys(frame, frame) == ["id", "x"]

    def test_many_cells_are_counted_and_some_listed(self) -> None:
        size = contents.CELLS + 10
        left = pd.DataFrame({"v": range(size)})
        found = contents.compare_tables(left, left + 1, None)
        assert found.differing == size
        assert len(found.cells) == contents.CELLS
