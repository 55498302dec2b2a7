rule diagnose:
    input:
        data="results/{dataset}/data.nc",
        posterior=whole_posterior,
    output:
        summary="results/{dataset}/diagnostics.json",
        pointwise="results/{dataset}/diagnostics.nc",
    log:
        "results/{dataset}/logs/diagnose.log",
    benchmark:
        "results/{dataset}/benchmarks/diagnose.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory("diagnose"),
        runtime=minutes(30),
    params:
        settings=settings("diagnostics"),
        code=code("diagnose.py"),
    message:
        "Diagnosing the chains of {wildcards.dataset}"
    script:
        "../../scripts/diagnose.py"


rule evaluate:
    input:
        data="results/{dataset}/data.nc",
        baseline="results/{dataset}/baseline.nc",
        posterior=whole_posterior,
    output:
        metrics="results/{dataset}/metrics.json",
        predictions="results/{dataset}/predictions.csv",
    log:
        "results/{dataset}/logs/evaluate.log",
    benchmark:
        "results/{dataset}/benchmarks/evaluate.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory("evaluate"),
        runtime=minutes(30),
    params:
        code=code("evaluate.py"),
    message:
        "Evaluating {wildcards.dataset}: Bayesian network, ordinary network, linear model"
    script:
        "../../scripts/evaluate.py"


rule plot:
    input:
        data="results/{dataset}/data.nc",
        baseline="results/{dataset}/baseline.nc",
        posterior=whole_posterior,
        diagnostics="results/{dataset}/diagnostics.nc",
    output:
        directory("results/{dataset}/figures"),
    log:
        "results/{dataset}/logs/plot.log",
    benchmark:
        "results/{dataset}/benchmarks/plot.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory("plot"),
        runtime=minutes(30),
    params:
        settings=settings("seed", "network", "likelihood", "diagnostics"),
        code=code("plot.py"),
    message:
        "Drawing the figures of {wildcards.dataset}"
    script:
        "../../scripts/plot.py"
