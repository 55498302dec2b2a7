"""What `python -m bnn` says before anything is sampled: whether a config can be run, and a draft of one."""

import re
import sys
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from bnn.config.errors import ConfigError
from bnn.config.files import check_syntax
from bnn.config.loading import check_files, load
from bnn.core.errors import DataError, Doubt, Fault, drop_line, in_yaml, listing, with_code
from bnn.data.column_encoding import Column
from bnn.data.dataset import Dataset
from bnn.data.doubts import lines
from bnn.data.file_kinds import kind_of
from bnn.data.new_row_files import features_for
from bnn.data.preparation import prepare
from bnn.data.tables import naming
from bnn.model.targets import check_support

_MAX_CLASSES = 10
"""Whole numbers of so many values, or fewer, are taken for classes."""
_MAX_COLUMNS = 100
"""Columns that a draft names."""


def check(path: str) -> int:
    """Read a config and every table that it names, as a run would; return 0 if all of it can be used.

    What is wrong goes to stderr, with all faults of the config or of each table; a line a dataset to stdout, and one
    for each doubt about its table.

    Parameters
    ----------
    path
        The config.
    """
    try:
        check_syntax([path])
        text = Path(path).read_text(encoding="utf-8")
        config = load(yaml.safe_load(text))
        check_files(config)
    except (ConfigError, OSError) as error:
        told = error.strerror if isinstance(error, OSError) and error.strerror else error
        print(f"{path}: {told}", file=sys.stderr)
        return 1
    n_faults = 0
    for name, dataset in config.datasets.items():
        settings = dataset.model_dump(mode="json")
        try:
            found = prepare(
                name, **{key: settings[key] for key in ("task", "source", "split", "columns", "series")}
            )
            if found.task == "regression" and dataset.likelihood.family != "auto":
                for split in ("train", "test"):
                    values, rows = found.original_target(split), found.row_numbers(split)
                    with naming(f"dataset '{name}'", is_file=False):
                        check_support(dataset.likelihood.family, values, column=found.target_name, rows=rows)
            for rows_to_predict in dataset.predict:
                with naming(f"dataset '{name}'", is_file=False):
                    features_for(found, rows_to_predict)
        except (OSError, ValueError) as error:
            n_faults += 1
            print(with_code(error), file=sys.stderr)
            continue
        print(f"{name}: {_about(found)}")
        for line in lines(found.doubts):
            print(f"{name}: WARN: {line}")
    if n_faults:
        print(f"{n_faults} of {len(config.datasets)} datasets cannot be used.", file=sys.stderr)
    return 1 if n_faults else 0


def draft(path: str, target: str) -> int:
    """Print a config for a table, with what was seen in each column; return 0, or 1 if the table cannot be used.

    Parameters
    ----------
    path
        A file that is a source.
    target
        Its column to predict.
    """
    source = {"kind": _kind(path), "path": path, "target": target}
    faults: dict[str, Exception] = {}
    why: dict[str, str] = {}
    few = ""
    for task, missing in (
        ("regression", "error"),
        ("regression", "impute"),
        ("classification", "error"),
        ("classification", "impute"),
    ):
        name = _name(path)
        raw: dict[str, Any] = {"task": task, "source": source}
        if missing != "error":
            raw["columns"] = {"missing": missing}
        try:
            found = _prepared(name, raw, why)
        except (ConfigError, OSError, ValueError) as fault:
            faults[task] = fault  # that of gaps which are filled in
            continue
        if task == "regression" and _is_few(found):
            few = few or _text(name, raw, found, why)
            continue
        print(_text(name, raw, found, why))
        return 0
    if few:  # no classes, so amounts
        print(few)
        return 0
    error = faults["classification"]
    first = faults.get("regression", error)
    of_target = isinstance(first, Fault) and target in [
        fault.column for fault in first.faults if not fault.key
    ]
    are_classes = not isinstance(error, Fault) or "hardly-classes" not in [
        fault.code for fault in error.faults
    ]
    if not (of_target and are_classes):
        error = first  # which is not that the names of classes are no numbers
    print(f"error: {with_code(error)}", file=sys.stderr)
    if found_out := {key: value for key, value in source.items() if key not in ("kind", "path", "target")}:
        text = yaml.safe_dump(found_out, allow_unicode=True, default_flow_style=True).strip()
        print(f"The file was read with {text}.", file=sys.stderr)
    return 1


def _prepared(name: str, raw: dict[str, Any], why: dict[str, str]) -> Dataset:
    """Return the table of a dataset of a config; how its file is written is found out, and goes into the source.

    Column -> why it is left out goes into the last argument.
    """
    settings = load({"datasets": {name: raw}}).datasets[name].model_dump(mode="json")
    try:
        return prepare(
            name, **{key: settings[key] for key in ("task", "source", "split", "columns", "series")}
        )
    except DataError as error:
        source = raw["source"]
        for key, value in _told(error):
            if key in source:
                continue
            before, source[key] = dict(source), value
            if key == "drop":
                why |= {
                    one.column: _without_place(one)
                    for one in error.faults
                    if one.column and one.column in value
                }
                # Texts that are all different are no levels, either.
                levels = [column for column in source.pop("categorical", []) if column not in value]
                source |= {"categorical": levels} if levels else {}
            try:
                return _prepared(name, raw, why)
            except DataError as other:
                of_before = {(fault.code, fault.column) for fault in error.faults}
                if key in ("separator", "encoding") or not of_before <= {
                    (fault.code, fault.column) for fault in other.faults
                }:
                    raise
                source.clear()  # it was no help
                source.update(before)
        raise


def _told(error: DataError) -> Iterator[tuple[str, Any]]:
    """Yield keys of a source, and their values, that an error says without doubt."""
    for fault in error.faults:
        key, value = (fault.key or "").removeprefix("source."), fault.value
        if key in ("separator", "encoding") and value is not None:
            yield key, value
        elif key == "decimal":
            yield key, ","
        elif key == "thousands" and value and (marks := re.findall(r"[^\d+\-−]", value))[1:]:
            yield key, marks[0]  # one alone may be a decimal comma
    if texts := [one.column for one in error.faults if one.column and one.code == "number-among-texts"]:
        yield "categorical", texts
    words: dict[str, list[str]] = {
        str(one.column): [] for one in error.faults if one.key == "source.missing_words"
    }
    if words:
        yield "missing_words", words
    elif any("source.missing_target: drop" in str(one) for one in error.faults):
        yield "missing_target", "drop"
    # Of what to do with such a column, leaving it out is the one thing that needs no other column or file.
    if unusable := [one.column for one in error.faults if one.column and drop_line(one.column) in str(one)]:
        yield "drop", unusable


def _encoding_doubts(dataset: Dataset) -> Iterator[Doubt]:
    """Yield that a draft took an encoding other than UTF-8, which nothing in the file says."""
    if (encoding := dataset.text_format.encoding) == "utf-8":
        return
    columns = dataset.columns or ()
    texts = [*dataset.class_names, dataset.target_name]
    texts += [text for column in columns for text in (column.name, *column.levels, *column.rare)]
    strange = [f"'{text}'" for text in texts if not text.isascii()]
    look = (
        f"look whether {listing(strange)} {'is' if len(strange) == 1 else 'are'} right"
        if strange
        else "look at the texts"
    )
    yield Doubt(
        "encoding",
        "",
        f"the file does not say its encoding, and {encoding} was taken; {look}, else set another",
    )


def _name(path: str) -> str:
    """Return a name for the dataset of a file: letters without accents, digits and _."""
    plain = unicodedata.normalize("NFKD", Path(path).stem.replace("ß", "ss"))
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return re.sub(r"[^A-Za-z0-9]", "_", letters).lstrip("_")[:64] or "table"


def _kind(path: str) -> str:
    """Return the kind of source that reads a file; of one that is not there or is damaged, any that says so."""
    try:
        return kind_of(Path(path))
    except (OSError, zipfile.BadZipFile):
        return "csv"


def _is_few(dataset: Dataset) -> bool:
    """Whether the target is a few whole numbers, which are rather names than amounts."""
    original = dataset.target_mean + dataset.target_scale * dataset.y_train
    values = {round(float(value), 6) for value in original}
    return len(values) <= _MAX_CLASSES and all(value == round(value) for value in values)


def _about(dataset: Dataset) -> str:
    rows = f"{len(dataset.y_train)} training and {len(dataset.y_test)} test rows"
    n_features = dataset.n_inputs
    kind = f"{len(dataset.class_names)} classes" if dataset.class_names else "a number"
    return (
        f"{rows}, {n_features} feature{'' if n_features == 1 else 's'}, target {dataset.target_name} ({kind})"
    )


def _without_place(fault: Fault) -> str:
    """Return a message from its column on."""
    return str(fault)[max(0, str(fault).find("column '")) :]


def _text(name: str, raw: Mapping[str, Any], dataset: Dataset, why: Mapping[str, str]) -> str:
    text = [f"# {_about(dataset)}", "datasets:", f"  {in_yaml(name)}:"]
    body = yaml.safe_dump(dict(raw), sort_keys=False, allow_unicode=True, default_flow_style=None)
    text += [f"    {line}" for line in body.splitlines()]
    text.append("    # What was seen in each column:")
    columns = dataset.columns or ()
    text += [f"    #   {column.name}: {_seen(column)}" for column in columns[:_MAX_COLUMNS]]
    if len(columns) > _MAX_COLUMNS:
        text.append(f"    #   and {len(columns) - _MAX_COLUMNS} more")
    if as_texts := raw["source"].get("categorical"):
        text.append(f"    # Taken for texts, since most of their cells are: {listing(as_texts)}")
    if left_out := raw["source"].get("drop"):
        text.append("    # Left out, since no feature can hold it as it is:")
        text += [f"    #   {why[column]}" for column in left_out if column in why]
    if doubts := [*_encoding_doubts(dataset), *dataset.doubts]:
        text.append("    # What may be meant otherwise:")
        text += [f"    #   {line}" for line in lines(doubts)]
    return "\n".join(text)


def _seen(column: Column) -> str:
    n_levels = len(column.levels) + len(column.rare)
    texts = f"texts, {n_levels} different ones" if n_levels else "texts"
    kind = {"number": "numbers", "exposure": "exposure", "boolean": "true or false", "text": texts}
    parts = [kind.get(column.kind, "no feature")]
    n_missing = column.n_missing + column.n_missing_test
    if n_missing:
        parts.append(f"{n_missing} missing")
    if column.kind in kind and not column.features:
        parts.append("constant, left out")
    return ", ".join(parts)
