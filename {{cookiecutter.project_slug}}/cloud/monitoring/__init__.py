"""What the endpoint is asked, beside what the model learned from."""
