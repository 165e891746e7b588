"""The tokenizer of a corpus: a byte-level BPE that is trained on it, or one that is given. Both by ``tokenizers``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from zenplan.errors import UsageError

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

END: Final = "<|end|>"
# What tokenizers call the end of a document, the most telling first.
_ENDS: Final = (END, "<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|im_end|>", "<|eot_id|>", "[SEP]")
# The bytes, and the end of a document.
LEAST_VOCABULARY: Final = 257


def train(texts: Iterator[str], vocabulary: int) -> str:
    """The ``tokenizer.json`` of a BPE over bytes; its token 0 is ``END``.

    The same texts in the same order give the same tokenizer, on any number of threads.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    return made.to_str(pretty=True)


def decoded(text: str, tokens: Sequence[int]) -> str:
    """What the tokens of a ``tokenizer.json``, which has been looked at before, stand for."""
    return decoder(text)(tokens)


def decoder(text: str) -> Callable[[Sequence[int]], str]:
    """As ``decoded``, for many texts."""
    from tokenizers import Tokenizer

    made = Tokenizer.from_str(text)
    return lambda tokens: str(made.decode(list(tokens)))


@dataclass(frozen=True, slots=True)
class Encoder:
    """A tokenizer that is ready.

    Attributes:
        encode: from texts to the tokens of each. What looks like a special token in a text is text.
        vocabulary: tokens that there are, a count.
        end: the number of the token that ends a document; None where it has none.
        padding: whether token 0 is none of a text, so that it can stand for padding.
    """

    encode: Callable[[Sequence[str]], list[Array]]
    vocabulary: int
    end: int | None
    padding: bool


def encoder(text: str, end_token: str | None, ends: bool) -> Encoder:
    """The encoder of a ``tokenizer.json``, which has been looked at before: the library raises plain exceptions.

    Args:
        text: of the file.
        end_token: what ends a document; None to find it by its usual names.
        ends: whether there has to be one.

    Raises:
        UsageError: it does not have that token, or none that ends a document.
    """
    from tokenizers import Tokenizer

    made = Tokenizer.from_str(text)
    made.no_truncation()
    made.no_padding()
    made.encode_special_tokens = True
    vocabulary = int(made.get_vocab_size(with_added_tokens=True))
    highest = max(made.get_vocab(with_added_tokens=True).values(), default=0)
    names = (end_token,) if end_token else _ENDS
    end = next((found for name in names if (found := made.token_to_id(name)) is not None), None)
    if end is None and ends:
        raise UsageError(
            f"the tokenizer has no token '{end_token}'"
            if end_token
            else "the tokenizer has no token known to end texts",
            "--end-token names the one that ends a document",
        )

    def encode(texts: Sequence[str]) -> list[Array]:
        found = made.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(each.ids, np.uint32) for each in found]

    special = {number for number, token in made.get_added_tokens_decoder().items() if token.special}
    return Encoder(encode, max(vocabulary, highest + 1), end, 0 in special)
