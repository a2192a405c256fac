"""URIs of Cloud Storage."""


def split_uri(uri: str) -> tuple[str, str]:
    """Returns the bucket and the name of `gs://BUCKET/NAME`.

    Either is empty where the URI has none: prefixes may be a bucket alone, which
    `google.cloud.storage.Blob.from_uri` refuses. Whether it begins with `gs://` is the caller's to
    check, who knows the field's name.
    """
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    return bucket, name
