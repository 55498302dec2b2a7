rule prepare:
    input:
        source_files,
    output:
        # A table that is refused leaves what was there, which finished draws and predictions of new rows need.
        update("results/{dataset}/data.nc"),
    log:
        "results/{dataset}/logs/prepare.log",
    benchmark:
        "results/{dataset}/benchmarks/prepare.tsv"
    # Before all else, so that a table that cannot be used is told in the first seconds.
    priority: 2
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory("prepare"),
        runtime=minutes(10),
    params:
        settings=settings("task", "source", "split", "columns", "series"),
        code=code("prepare.py", "data"),
    message:
        "Reading and splitting {wildcards.dataset}"
    script:
        "../../scripts/prepare.py"
