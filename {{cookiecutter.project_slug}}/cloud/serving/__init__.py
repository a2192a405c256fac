"""Models and their versions: what is deployed, who gets the traffic, what they predict."""
