"""nox -s submit: trains a network on images of digits and saves it to be asked with PNG files."""

import argparse

import keras
import tensorflow as tf
from sklearn import datasets, model_selection

from trainer import job

SIZE = 8  # pixels


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains on 1,797 digits.", allow_abbrev=False)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--learning-rate", type=float, default=0.001)
    options = parser.parse_args()

    digits = datasets.load_digits()
    images = (digits.images[..., None] * 15.9375).astype("uint8")  # 0 to 16 becomes 0 to 255
    train_x, test_x, train_y, test_y = model_selection.train_test_split(
        images, digits.target, test_size=0.2, random_state=0
    )
    network = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(64, 3, padding="same", activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    adam = keras.optimizers.Adam(options.learning_rate)
    network.compile(adam, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    report = keras.callbacks.LambdaCallback(on_epoch_end=lambda n, logs: job.report(logs, n + 1))
    with job.folders() as folders:
        network.fit(
            train_x,
            train_y,
            epochs=options.epochs,
            batch_size=64,
            validation_split=0.1,
            callbacks=[
                keras.callbacks.TensorBoard(folders.logs),
                keras.callbacks.BackupAndRestore(folders.checkpoints),
                report,  # for nox -s tune
            ],
            verbose=2,
        )
        loss, accuracy = network.evaluate(test_x, test_y, verbose=0)

        def serve(image: tf.Tensor) -> tf.Tensor:
            decoded = tf.map_fn(decode, image, fn_output_signature=tf.float32)
            return network(decoded)

        job.save(
            network,
            folders.model,
            sample={"image": tf.io.encode_png(test_x[0]).numpy()},
            serve=serve,
            about={"image": "a digit, white on black, as a PNG or JPEG file"},
            classes=tuple("0123456789"),
            scores={"accuracy": accuracy, "log_loss": loss},
            test_rows="a fifth of scikit-learn's digits, random state 0",
        )


def decode(content: tf.Tensor) -> tf.Tensor:
    """Reads an image file of any size as float32 [SIZE, SIZE, 1], 0 to 255."""
    pixels = tf.io.decode_image(content, channels=1, expand_animations=False)
    return tf.ensure_shape(tf.image.resize(pixels, (SIZE, SIZE)), (SIZE, SIZE, 1))


if __name__ == "__main__":
    main()
