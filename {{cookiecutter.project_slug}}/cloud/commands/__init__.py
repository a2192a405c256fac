"""The commands: `nox -s COMMAND` and `python -m cloud COMMAND`, a module each.

This list is the only one. It imports nothing, as noxfile.py reads it in nox's own Python.
"""

# What each command does, in the order in which they help.
COMMANDS = {
    "demo": "run every step once, from the data to a prediction",
    "adopt": "look at a table of your own, and describe it for the project",
    "data": "make the files of the data set, or take those of data/, and upload them",
    "train": "train in this process, on local paths, without a server",
    "package": "build the trainer package, check that it imports, and upload it",
    "submit": "package the trainer and submit a training job",
    "tune": "search the best values of the trainer's flags, in many training jobs",
    "jobs": "list the jobs and tunings, or show one",
    "logs": "show a job's log, or follow it until the job ends",
    "cancel": "cancel a job, or a tuning",
    "console": "open the target's console in a browser",
    "tensorboard": "show the curves of all jobs in TensorBoard",
    "gate": "judge a job's model beside the default version, as continuous integration does",
    "deploy": "serve a job's model as the next version, and move the traffic to it",
    "versions": "list the model's versions with their aliases, scores and traffic",
    "promote": "make a version the default, and move all traffic to it",
    "rollback": "go back to the previous default version",
    "predict": "ask the endpoint for predictions",
    "clients": "write clients of the endpoint in other languages, and a page with a form",
    "batch": "predict for many rows that can wait, and join the predictions to them",
    "load": "send predictions at a fixed rate, and show how they are answered",
    "evaluate": "score a version on the test rows through the endpoint",
    "drift": "compare what the endpoint is asked with the rows that the model learned from",
    "cost": "estimate what a training job, or a tuning, may cost",
    "doctor": "check that the target has what the project needs",
    "setup": "create what the project needs on Google Cloud",
    "teardown": "remove what the project created, after asking",
    "target": "show where commands go, and start the emulator where it does not run",
    "emulator": "run the emulator in the foreground, or stop it",
}
