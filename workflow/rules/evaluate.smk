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
        code=code("diagnose.py", "diagnostics", "posterior", "data", "model", "mcmc", "core/row_names.py"),
    message:
        "Diagnosing the chains of {wildcards.dataset}"
    script:
        "../../scripts/diagnose.py"


rule conformal:
    input:
        data="results/{dataset}/data.nc",
        plan=plan_file,
    output:
        "results/{dataset}/conformal.json",
    log:
        "results/{dataset}/logs/conformal.log",
    benchmark:
        "results/{dataset}/benchmarks/conformal.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory("conformal"),
        runtime=minutes(60),
    params:
        settings=settings("seed", "network", "prior", "likelihood"),
        code=code(
            "conformal.py",
            "selection/__init__.py",
            "selection/conformal.py",
            "selection/cheap_fit.py",
            "diagnostics/__init__.py",
            "diagnostics/mixing.py",
            "posterior",
            "data",
            "model",
            "mcmc",
            "core/gross_values.py",
            "core/identical_rows.py",
        ),
    message:
        "Fitting {wildcards.dataset} without each fold of its training rows"
    script:
        "../../scripts/conformal.py"


rule evaluate:
    input:
        data="results/{dataset}/data.nc",
        baseline="results/{dataset}/baseline.nc",
        posterior=whole_posterior,
        conformal=conformal_file,
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
        settings=settings("seed"),
        code=code("evaluate.py", "evaluation", "posterior", "data", "model", "core/formatting.py"),
    message:
        "Evaluating {wildcards.dataset}: BNN and the other models"
    script:
        "../../scripts/evaluate.py"


rule check:
    input:
        data="results/{dataset}/data.nc",
        plan=plan_file,
        baseline="results/{dataset}/baseline.nc",
        posterior=whole_posterior,
    output:
        summary="results/{dataset}/checks.json",
        arrays="results/{dataset}/checks.nc",
    log:
        "results/{dataset}/logs/check.log",
    benchmark:
        "results/{dataset}/benchmarks/check.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory("check"),
        runtime=minutes(30),
    params:
        settings=settings("seed", "network", "prior", "likelihood", "evaluation"),
        code=code(
            "check.py",
            "checks",
            "evaluation",
            "diagnostics",
            "posterior",
            "data",
            "model",
            "core/formatting.py",
            "core/row_names.py",
        ),
    message:
        "Checking the model of {wildcards.dataset}"
    script:
        "../../scripts/check.py"


rule check_rows:
    input:
        data="results/{dataset}/data.nc",
        rows=file_to_predict,
    output:
        "results/{dataset}/predictions/.{file}.checked",
    log:
        "results/{dataset}/logs/check_rows_{file}.log",
    # Before chains are sampled whose predictions could not be made.
    priority: 2
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory("prepare"),
        runtime=minutes(30),
    params:
        code=code("check_rows.py", "data"),
    message:
        "Reading the rows of {input.rows} for {wildcards.dataset}"
    script:
        "../../scripts/check_rows.py"


rule predict:
    input:
        data="results/{dataset}/data.nc",
        posterior=posterior_with_weights,
        diagnostics="results/{dataset}/diagnostics.json",
        metrics=metrics_of_conformal,
        rows=file_to_predict,
        checked="results/{dataset}/predictions/.{file}.checked",
    output:
        "results/{dataset}/predictions/{file}.csv",
    log:
        "results/{dataset}/logs/predict_{file}.log",
    benchmark:
        "results/{dataset}/benchmarks/predict_{file}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory("predict"),
        runtime=minutes(30),
    params:
        code=code("predict.py", "posterior", "data", "model", "core/formatting.py"),
    message:
        "Predicting the rows of {input.rows} with {wildcards.dataset}"
    script:
        "../../scripts/predict.py"


rule plot:
    input:
        data="results/{dataset}/data.nc",
        plan=plan_file,
        baseline="results/{dataset}/baseline.nc",
        posterior=whole_posterior,
        diagnostics="results/{dataset}/diagnostics.nc",
        summary="results/{dataset}/diagnostics.json",
        metrics="results/{dataset}/metrics.json",
        checks="results/{dataset}/checks.json",
        arrays="results/{dataset}/checks.nc",
    output:
        report(
            directory("results/{dataset}/figures"),
            patterns=["{figure}.svg"],
            caption="../report/figure.rst",
            category="Figures",
            subcategory="{dataset}",
            labels=report_labels("Figure"),
        ),
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
        settings=plot_settings,
        code=code(
            "plot.py",
            "plots",
            "evaluation",
            "posterior",
            "data",
            "model",
            "mcmc/__init__.py",
            "mcmc/kernels",
        ),
    message:
        "Drawing the figures of {wildcards.dataset}"
    script:
        "../../scripts/plot.py"
