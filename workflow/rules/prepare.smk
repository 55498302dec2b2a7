rule prepare:
    input:
        source_files,
    output:
        "results/{dataset}/data.nc",
    log:
        "results/{dataset}/logs/prepare.log",
    benchmark:
        "results/{dataset}/benchmarks/prepare.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory("prepare"),
        runtime=minutes(10),
    params:
        settings=settings("task", "source", "split", "columns"),
        code=code("prepare.py"),
    message:
        "Reading and splitting {wildcards.dataset}"
    script:
        "../../scripts/prepare.py"
