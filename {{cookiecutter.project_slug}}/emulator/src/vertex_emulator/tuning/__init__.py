"""The search of a hyperparameter tuning: what is searched, what trials report, what comes next."""
