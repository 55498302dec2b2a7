# Tables in, checked posteriors and reports out: see README.md; every key of the config is in config/README.md.
from snakemake.utils import min_version

min_version("9.14")


configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/prepare.smk"
include: "workflow/rules/sample.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        "results/report.html",
        prediction_files(),
        expand("results/{repeated}/repeats.json", repeated=REPEATS),
        # All that the README promises: what a user deleted is made again.
        expand(
            "results/{dataset}/{name}",
            dataset=DATASETS,
            name=[
                "data.nc",
                "baseline.nc",
                "posterior.nc",
                "diagnostics.json",
                "metrics.json",
                "checks.json",
                "predictions.csv",
                "figures",
                "report.html",
            ],
        ),


onsuccess:
    print_verdicts()
