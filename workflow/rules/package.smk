# Finds the package, and checks the files of the config before Snakemake reads them, whose own error names no line.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# The package lies beside the folder of the workflow, and need not be installed; as a module from another place than this
# machine's disk, the workflow uses the installed one.
ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parents[1]
if (ROOT / "bnn").is_dir() and sys.path[0] != str(ROOT):
    sys.path.insert(
        0, str(ROOT)
    )  # before the folder where `python -m snakemake` was started, which may have another

from bnn.config.errors import ConfigError
from bnn.config.files import check_syntax

# A module has its config from a workflow that has read its files already.
CONFIG_FILES = [*workflow.configfiles]
if not workflow.modifier.skip_configfile:
    CONFIG_FILES.append("config/config.yaml")
try:
    check_syntax(CONFIG_FILES)
except ConfigError as error:
    raise WorkflowError(str(error))
