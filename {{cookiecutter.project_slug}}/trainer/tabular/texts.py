"""Free texts: a row's words, and pairs of neighbouring words, in TensorFlow's operations."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from trainer.tabular.data import Array

Tensor = Any

BLOCK = 4_096  # rows taken apart at once; bounds the memory that their words take
MAX_WORDS = 512  # of a row; what follows is not read
# Of a row; of more the most frequent words and pairs are left out. Twice as many gain nothing and
# take twice the time and memory, as measured on texts of 200 words.
MAX_CODES = 128
MAX_VOCABULARY = 20_000  # words and pairs of a column
MIN_ROWS = 3  # that a word or pair needs for a code of its own
LONGEST = 60  # letters of a word or pair; longer ones are no words
COUNTED = 1_000_000  # words and pairs that are counted at once
COVERED = 0.99  # of the rows have all their words and pairs among the codes that the network takes

# A word is letters, marks and digits of any script. Those of scripts without blanks count one by
# one, so that pairs of them are the words.
_BETWEEN_WORDS = r"[^\pL\pM\pN]+"
_WITHOUT_BLANKS = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}])"


def tokens(texts: Tensor) -> Any:
    """Takes texts apart.

    Args:
        texts: string [rows].

    Returns:
        A ragged tensor, string [rows, tokens]: a row's words in lower case, then its pairs of
        neighbouring words, with a blank between them.
    """
    lower = tf.strings.lower(texts, encoding="utf-8")
    apart = tf.strings.regex_replace(lower, _WITHOUT_BLANKS, r" \1 ")
    words = tf.strings.split(tf.strings.regex_replace(apart, _BETWEEN_WORDS, " "))[:, :MAX_WORDS]
    first, second = words[:, :-1], words[:, 1:]
    pairs = tf.strings.join([first.flat_values, second.flat_values], separator=" ")
    return tf.concat([words, first.with_flat_values(pairs)], axis=1)


def codes(texts: Tensor, lookup: Any, length: int) -> Tensor:
    """Returns the codes of a text's known words and pairs, the rarest first.

    Args:
        texts: string [rows].
        lookup: a table of codes by word or pair, the most frequent first; 0 of others.
        length: codes a row has at most: those of the rarest.

    Returns:
        int32 [rows, length]; zeros fill it up.
    """
    found = lookup.lookup(tokens(texts))
    known = tf.ragged.boolean_mask(found, found > 0).to_tensor(0)
    return tf.math.top_k(tf.pad(known, [[0, 0], [0, length]]), length).values


class Counts:
    """How many rows have each word and pair.

    Of more than are counted at once the rarest are forgotten, so a count may be a few rows short,
    as in Manku and Motwani, Approximate Frequency Counts over Data Streams (2002).
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lengths = np.zeros(2 * MAX_WORDS, np.int64)  # rows by how many of both they have
        self._known = 0

    def add(self, texts: Array) -> None:
        """Counts the words and pairs of more rows."""
        for start in range(0, len(texts), BLOCK):
            part = tf.constant(texts[start : start + BLOCK], tf.string)
            self._known += int(tf.reduce_sum(tf.cast(part != "", tf.int64)))
            found = tokens(part)
            self._lengths += np.bincount(found.row_lengths(), minlength=len(self._lengths))
            encoded = pa.array(found.flat_values.numpy(), pa.string()).dictionary_encode()
            places = encoded.indices.to_numpy().astype(np.int64)
            # Each of a row once.
            once = np.unique(found.value_rowids().numpy() * len(encoded.dictionary) + places)
            rows = np.bincount(once % max(len(encoded.dictionary), 1))
            short = pc.less_equal(pc.utf8_length(encoded.dictionary), LONGEST)
            words = encoded.dictionary.filter(short).to_pylist()
            self._counts.update(dict(zip(words, rows[short].tolist(), strict=True)))
            if len(self._counts) > COUNTED:
                self._forget()

    def _forget(self) -> None:
        """Keeps the more frequent half of what may be counted, or less."""
        fewest = 1
        while len(self._counts) > COUNTED // 2:
            fewest += 1
            self._counts = Counter({word: n for word, n in self._counts.items() if n >= fewest})

    def frequent(self) -> dict[str, int]:
        """Returns the rows of each word and pair that has enough, the most frequent first."""
        found = sorted(word for word, rows in self._counts.items() if rows >= MIN_ROWS)
        found.sort(key=self._counts.__getitem__, reverse=True)
        return {word: self._counts[word] for word in found[:MAX_VOCABULARY]}

    def length(self) -> int:
        """Returns how many codes the network takes of a row; at least 1."""
        covered = np.cumsum(self._lengths) >= COVERED * self._lengths.sum()
        return min(max(1, int(np.argmax(covered))), MAX_CODES)

    def fault(self) -> str:
        """Says why the model cannot learn from the column; empty where it can."""
        if self.frequent():
            return ""
        what = f"no words that {MIN_ROWS} rows share" if self._known else "no values"
        return f"has {what} in the training rows, so the model cannot learn from it."
