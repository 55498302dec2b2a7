"""Tables as a run reads them: what a config says goes through its models, as text files of JSON do between jobs."""

from typing import Any

from bnn.config.loading import load
from bnn.data.dataset import Dataset
from bnn.data.preparation import prepare

SECTIONS = ("task", "source", "split", "columns", "series")


def prepared(source: dict[str, Any], *, task: str = "regression", **sections: Any) -> Dataset:
    """Return the table of the dataset "mine" of a config."""
    raw = {"task": task, "source": source, **sections}
    settings = load({"datasets": {"mine": raw}}).datasets["mine"].model_dump(mode="json")
    return prepare("mine", **{name: settings[name] for name in SECTIONS})
