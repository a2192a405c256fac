"""Cloud Storage's JSON API and the part of its XML API that clients use, over HTTP."""
