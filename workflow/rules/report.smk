rule report:
    input:
        data="results/{dataset}/data.nc",
        metrics="results/{dataset}/metrics.json",
        diagnostics="results/{dataset}/diagnostics.json",
        figures="results/{dataset}/figures",
    output:
        "results/{dataset}/report.html",
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
        settings=lambda wildcards: DATASETS[wildcards.dataset],
        code=code("report.py"),
    message:
        "Writing the report of {wildcards.dataset}"
    script:
        "../../scripts/report.py"


rule overview:
    input:
        reports=expand("results/{dataset}/report.html", dataset=DATASETS),
        metrics=expand("results/{dataset}/metrics.json", dataset=DATASETS),
        diagnostics=expand("results/{dataset}/diagnostics.json", dataset=DATASETS),
    output:
        "results/report.html",
    log:
        "results/logs/overview.log",
    benchmark:
        "results/benchmarks/overview.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 250 * attempt,
        runtime=minutes(10),
    params:
        code=code("overview.py"),
    message:
        "Writing the overview of all datasets"
    script:
        "../../scripts/overview.py"
