"""Did the chains converge: R-hat, effective sample size, the verdict, its remedies. Imports posterior and below."""
