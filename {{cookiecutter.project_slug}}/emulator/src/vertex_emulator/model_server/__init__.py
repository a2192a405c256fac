"""A model server with TensorFlow Serving's REST API, in the place of its image on Google Cloud.

It answers `:predict`, status and metadata of one version of one SavedModel, keeps Vertex AI's
contract for serving containers, and joins the requests that wait while the model is busy into its
next batch. Formats: https://www.tensorflow.org/tfx/serving/api_rest and
https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements.
"""
