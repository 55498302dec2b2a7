rule report:
    input:
        plan=plan_file,
        metrics="results/{dataset}/metrics.json",
        predictions="results/{dataset}/predictions.csv",
        diagnostics="results/{dataset}/diagnostics.json",
        checks="results/{dataset}/checks.json",
        figures="results/{dataset}/figures",
    output:
        page=report(
            "results/{dataset}/report.html",
            caption="../report/dataset.rst",
            category="Reports",
            labels={"Dataset": "{dataset}", "Page": "Whole report"},
        ),
        tables=report(
            directory("results/{dataset}/tables"),
            patterns=["{table}.html"],
            caption="../report/table.rst",
            category="Tables",
            subcategory="{dataset}",
            labels=report_labels("Table"),
        ),
    log:
        "results/{dataset}/logs/report.log",
    benchmark:
        "results/{dataset}/benchmarks/report.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory("report"),
        runtime=minutes(10),
    params:
        settings=shown_settings,
        code=code("report.py", "report", "diagnostics", "core/formatting.py", "core/row_names.py"),
    message:
        "Writing the report of {wildcards.dataset}"
    script:
        "../../scripts/report.py"


rule repeats:
    input:
        metrics=files_of_repeats("metrics.json"),
        diagnostics=files_of_repeats("diagnostics.json"),
    output:
        "results/{repeated}/repeats.json",
    log:
        "results/{repeated}/logs/repeats.log",
    benchmark:
        "results/{repeated}/benchmarks/repeats.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory("repeats"),
        runtime=minutes(10),
    params:
        code=code("repeats.py", "evaluation", "posterior", "data", "model"),
    message:
        "Taking means over the splits of {wildcards.repeated}"
    script:
        "../../scripts/repeats.py"


# Where the Snakemake is that ends the run: it reads the log, the only file that stays where results lie in a storage.
localrules:
    overview,


rule overview:
    input:
        reports=expand("results/{dataset}/report.html", dataset=DATASETS),
        metrics=expand("results/{dataset}/metrics.json", dataset=DATASETS),
        diagnostics=expand("results/{dataset}/diagnostics.json", dataset=DATASETS),
        checks=expand("results/{dataset}/checks.json", dataset=DATASETS),
        repeats=expand("results/{repeated}/repeats.json", repeated=REPEATS),
    output:
        report(
            "results/report.html",
            caption="../report/overview.rst",
            category="Reports",
            labels={"Dataset": "all", "Page": "Overview"},
        ),
    log:
        "results/logs/overview.log",
    benchmark:
        "results/benchmarks/overview.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory("overview"),
        runtime=minutes(10),
    params:
        code=code("overview.py", "report", "diagnostics", "core/formatting.py", "core/row_names.py"),
    message:
        "Writing the overview of all datasets"
    script:
        "../../scripts/overview.py"
