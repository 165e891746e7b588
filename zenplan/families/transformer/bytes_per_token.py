"""Bytes of UTF-8 for each token, by kind of text, of vocabularies of byte pairs from GPT-2's (50k) to Llama 3's (128k)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from zenplan.domain.range import Range

# Bytes of a token. Nothing known of the text: OpenAI's guide has 4 characters of English a token; the Pile, which is
# mixed and a tenth of it code, has 0.29 tokens to a byte, 3.4 bytes a token (Gao et al. 2020, arXiv 2101.00027,
# section 3.1). OpenWebText, English of the web: 39.8 GB (its data card) are 9.04e9 tokens of GPT-2's vocabulary (the
# readme of nanoGPT), 4.4 bytes a token. Code and other scripts are less even, and their ranges assumed: a space of
# indentation was a token of its own in GPT-2's, and is not in those made for code (Chen et al. 2021, arXiv 2107.03374,
# section 3.2: 30 % fewer tokens). A Chinese character is 3 bytes, and two tokens of GPT-2's vocabulary, but about two
# thirds of one of a vocabulary made for Chinese (Qwen's documentation: 1.5 to 1.8 characters a token).
BYTES_PER_TOKEN: Final[Mapping[str, Range]] = {
    "mixed": Range(low=3.4, mid=4.0, high=4.5),
    "English": Range(low=3.9, mid=4.2, high=4.7),
    "code": Range(low=2.4, mid=3.1, high=3.9),
    "Chinese, Japanese or Korean": Range(low=1.6, mid=3.0, high=5.1),
    "other scripts": Range(low=2.0, mid=3.5, high=5.5),
    "other Latin": Range(low=2.6, mid=3.4, high=4.3),
}
