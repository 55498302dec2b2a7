"""Files appear whole or not at all, and come back as they were written."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnn.core.storage import atomic_path, read_json, read_netcdf, write_json, write_netcdf


def test_netcdf_round_trip_keeps_values_types_and_shapes(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file.nc"
    arrays: dict[str, Any] = {
        "scalar": ((), np.array(2.5)),
        "number": ((), np.float64(2.5)),
        "text_scalar": ((), np.array("one")),
        "matrix": (("row", "column"), np.array([[1.0, np.nan, np.inf], [0.1, -0.0, 1e-300]])),
        "single": (("row",), np.array([0.1, 0.2], dtype=np.float32)),
        "whole": (("row",), np.array([2**62, -1])),
        "small": (("row",), np.array([-1, 1], dtype=np.int8)),
        "row": (("row",), np.array([0, 1])),
        "names": (("column",), np.array(["a b", "", "µm·é"])),
        "one": (("unit",), np.array([7.0])),
        "one_name": (("unit",), np.array(["x"])),
        "nothing": (("none", "column"), np.zeros((0, 3))),
    }
    write_netcdf(path, arrays, {})
    found, attributes = read_netcdf(path)
    assert attributes == {}
    assert list(found) == list(arrays)
    for name, (_, expected) in arrays.items():
        assert found[name].shape == expected.shape, name
        np.testing.assert_array_equal(found[name], expected, err_msg=name)
        if expected.dtype.kind != "U":
            assert found[name].dtype == expected.dtype, name


def test_attributes_come_back_as_plain_python(tmp_path: Path) -> None:
    given = {"text": "µ é", "empty": "", "long": "x" * 100_000, "whole": 2**40, "real": 0.1}
    numpy_numbers = {"np_whole": np.int64(3), "np_real": np.float64(0.2)}
    write_netcdf(tmp_path / "a.nc", {}, {**given, **numpy_numbers})
    _, found = read_netcdf(tmp_path / "a.nc")
    assert found == {**given, "np_whole": 3, "np_real": 0.2}
    assert {name: type(value) for name, value in found.items()} == {
        "text": str,
        "empty": str,
        "long": str,
        "whole": int,
        "real": float,
        "np_whole": int,
        "np_real": float,
    }


@pytest.mark.parametrize("value", [True, np.bool_(False), None, ["a"], np.zeros(2)])
def test_attributes_that_would_not_come_back_are_rejected(tmp_path: Path, value: object) -> None:
    with pytest.raises(ValueError, match="flag"):
        write_netcdf(tmp_path / "a.nc", {}, {"flag": value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "array", [np.array([True]), np.array([1], dtype=object), np.array([b"x"]), np.array([1j])]
)
def test_variables_that_netcdf_cannot_hold_are_rejected_by_name(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="odd"):
        write_netcdf(tmp_path / "a.nc", {"odd": (("row",), array)}, {})


def test_dimensions_must_fit(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'b'.*'row'"):
        write_netcdf(tmp_path / "a.nc", {"a": (("row",), np.zeros(2)), "b": (("row",), np.zeros(3))}, {})
    with pytest.raises(ValueError, match="'a'"):
        write_netcdf(tmp_path / "a.nc", {"a": (("row",), np.zeros((2, 2)))}, {})
    assert list(tmp_path.iterdir()) == []


def test_other_programs_read_the_dimensions(tmp_path: Path) -> None:
    import xarray as xr

    write_netcdf(tmp_path / "a.nc", {"a": (("chain", "draw"), np.ones((2, 3)))}, {"kernel": "mala"})
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as found:
        assert found["a"].dims == ("chain", "draw")
        assert found.attrs["kernel"] == "mala"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="disk"), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("disk")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_file_is_in_the_same_folder_with_the_same_suffix(tmp_path: Path) -> None:
    path = tmp_path / "figure.svg"
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent and temporary.suffix == ".svg" and temporary != path
        temporary.write_text("whole")
        assert not path.exists()
        inode = temporary.stat().st_ino
    assert path.read_text() == "whole"
    assert path.stat().st_ino == inode, "a copy could be seen half made; only a rename is atomic"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(OSError, match="results"):
        write_json(tmp_path / "results" / "a.json", 1)


def test_json_is_strict_and_plain(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    value = {
        "nan": float("nan"),
        "inf": np.float32(np.inf),
        "array": np.array([[1.0, np.nan], [2.0, -np.inf]]),
        "numpy": [np.int8(3), np.float64(0.1), np.bool_(True), np.str_("x")],
        "tuple": (1, None, "ü"),
        3: {"deep": {"nan": [np.nan]}},
    }
    write_json(path, value)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    assert json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse) == {
        "nan": None,
        "inf": None,
        "array": [[1.0, None], [2.0, None]],
        "numpy": [3, 0.1, True, "x"],
        "tuple": [1, None, "ü"],
        "3": {"deep": {"nan": [None]}},
    }
    assert read_json(path)["tuple"] == [1, None, "ü"]
    assert path.read_text(encoding="utf-8").endswith("}\n")


def test_json_rejects_what_it_cannot_say(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"set": {1}})
    assert list(tmp_path.iterdir()) == []


def test_reading_and_writing_does_not_need_xarray_or_pandas(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from bnn.core.storage import read_netcdf, write_netcdf\n"
        f"write_netcdf({str(tmp_path / 'a.nc')!r}, {{'a': (('x',), np.ones(2))}}, {{}})\n"
        f"read_netcdf({str(tmp_path / 'a.nc')!r})\n"
        "print(sorted({'xarray', 'pandas', 'scipy'} & set(sys.modules)))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=_root()
    )
    assert run.stdout.strip() == "[]"


def _root() -> Path:
    return Path(__file__).parents[2]
