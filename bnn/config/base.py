"""What groups of keys of the config have in common: how values of YAML are read, and that unknown keys are errors."""

import os
import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from bnn.core.errors import Fault

MAX_SEED = 2**32 - 1


def read_yaml_value(cls: type[BaseModel], value: Any, info: ValidationInfo) -> Any:
    """Tell true from 1 (Python takes one for the other), and read 1e4 (text in YAML 1.1) as a whole number."""
    annotation = cls.model_fields[str(info.field_name)].annotation
    items = value if isinstance(value, list) else [value]
    if any(isinstance(item, bool) is not (annotation is bool) for item in items):
        raise PydanticCustomError("boolean", "true or false where another value belongs, or the reverse")
    takes_whole = annotation is int or int in map(_plain_type, get_args(annotation))
    if takes_whole and isinstance(value, str) and re.fullmatch(r"\d+(\.\d*)?[eE]\+?\d+", value):
        return float(value)
    return value


def without_dates(value: Any, within: tuple[int, ...] = ()) -> Any:
    """Return plain values in which what YAML takes for a date is the text that it was: no key holds a date.

    What holds itself, by an anchor, is left as it is where it comes again; `within` are the groups around a value.
    """
    if id(value) in within:
        return value
    within = (*within, id(value))
    if isinstance(value, Mapping):
        return {key: without_dates(item, within) for key, item in value.items()}
    if isinstance(value, list):
        return [without_dates(item, within) for item in value]
    return str(value) if isinstance(value, date) else value


def _plain_type(annotation: Any) -> Any:
    """Return the type that `Annotated` says more of; any other annotation as it is."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def expanded(path: str) -> str:
    """Return a path with the values of its environment variables."""
    path = os.path.expandvars(path)
    if unset := re.search(r"\$(\w+|\{\w+\})", path):
        raise Fault("variable-not-set", f"the environment variable {unset[1].strip('{}')} is not set")
    if set(path) & set("{}\n\0"):
        # Snakemake would take braces for a wildcard, and depend on another file than the one that is read.
        raise Fault(
            "path-unusable", "a path must hold no braces and no line breaks; rename the file or its folder"
        )
    return path


class Group(BaseModel):
    """A group of keys: unknown keys are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _accept_empty_group(cls, value: Any) -> Any:
        """Take `sampler:` with nothing below it, which YAML reads as null, for no keys."""
        return {} if value is None else value


class Section(Group):
    """A group of settings."""

    _numbers = field_validator("*", mode="before")(read_yaml_value)
