"""The table of faults names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_that_the_table_of_faults_names_is_there():
    text = (ROOT / "docs" / "explanation" / "reliability.md").read_text(encoding="utf-8")
    # A name may be cut off after its beginning: `test_killed_at_random_moments_…`.
    named = re.findall(r"::…?(test_\w+?)(_…|…|`)", text)
    assert len(named) > 20
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    defined = set(re.findall(r"^def (test_\w+)\(", sources, flags=re.MULTILINE))
    for name, end in named:
        found = [test for test in defined if test == name or (end != "`" and test.startswith(name))]
        assert found, f"docs/explanation/reliability.md names {name}, which is no test"
    for path in re.findall(r"`((?:unit|workflow)/test_\w+\.py)", text):
        assert (ROOT / "tests" / path).is_file(), path
