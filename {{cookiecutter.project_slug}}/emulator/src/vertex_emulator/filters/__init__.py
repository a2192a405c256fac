"""The filter language of Google's list methods and of Cloud Logging; see `parsing`."""
