"""What the project needs on Google Cloud: how it is found, created and removed."""
