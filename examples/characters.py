"""A language of one sentence, learned character by character: a causal transformer beside n-grams and beside the truth.

    python examples/characters.py [--quick]

No book comes with Python or with minigrad, so the example makes its text itself, by a grammar of one sentence: "ada
says that the old bear that the owls see waits, and ada nods." That has an advantage over a novel. We know how likely
each line is, so we know how many bits a character has on average, below which nobody gets on lines that are drawn anew;
and of what a network writes, we can tell whether it is a sentence.

Two things in a line depend on what stands far back: the name returns at its end, and whether it is "waits" or "wait"
the bear decides, not the owls. An n-gram predicts from the last few characters how often these were followed by which;
with longer histories it has seen most of them never. So it mixes all lengths (Witten and Bell, "The zero-frequency
problem", IEEE Transactions on Information Theory 37, 1991). A transformer looks back at whatever it wants to: after a
minute of one processor it is below 0.32 bits a character, n-grams are at 0.39 at best, and the grammar at 0.316. With
--quick, all of it runs in some seconds, in which a transformer learns little.
"""

import math
import re
import sys
from collections import Counter, defaultdict

import numpy as np

from minigrad import (
    PADDING,
    Adam,
    CategoricalCrossEntropy,
    Dense,
    Embedding,
    LayerNorm,
    MultiHeadAttention,
    PositionalEncoding,
    ReLU,
    Residual,
    Sequential,
    Softmax,
)
from minigrad.schedules import one_cycle

QUICK = "--quick" in sys.argv[1:]
LEARNED, UNSEEN, EPOCHS, SAMPLES = (500, 30, 4, 4) if QUICK else (6000, 500, 12, 200)
LONGEST = 16
WIDTH, BATCH = (32, 16) if QUICK else (64, 32)
END = "\n"
CHARACTERS = END + " ,.abcdefghijklmnopqrstuvwxyz"

NAMES, SAYS, NODS = ("ada", "ben", "eva", "ira", "leo", "tim"), ("says", "sees", "knows"), ("nods", "sighs", "leaves")
ADJECTIVES, NOUNS = ("", "old ", "wise "), ("bear", "owl", "cat", "dog", "hen", "crow", "goat", "toad")
SEE, WAIT = ("see", "hear", "follow", "fear"), ("wait", "sing", "dream", "run", "eat")
VERBS_AFTER = {"": "s", "s": ""}  # the owl sees, the owls see


def sentence(rng):
    """A line drawn at random, and how many bits the choices in it are."""
    bits = 0.0

    def one_of(options):
        nonlocal bits
        bits += math.log2(len(options))
        return options[rng.integers(len(options))]

    name, subject, many = one_of(NAMES), one_of(ADJECTIVES) + one_of(NOUNS), one_of(("", "s"))
    begin, clause = one_of(("", " near the ", " that the ")), ""
    if begin:
        clause, others = one_of(NOUNS), one_of(("", "s"))
        clause = begin + clause + others + (f" {one_of(SEE)}{VERBS_AFTER[others]}" if "that" in begin else "")
    verb = one_of(WAIT) + VERBS_AFTER[many]
    return f"{name} {one_of(SAYS)} that the {subject}{many}{clause} {verb}, and {name} {one_of(NODS)}.", bits


def sentences_as_pattern():
    """The same grammar, to tell whether a line is a sentence."""
    names, says, nods, adjectives, noun, see, wait = (
        f"(?:{'|'.join(words)})" for words in (NAMES, SAYS, NODS, ADJECTIVES, NOUNS, SEE, WAIT)
    )
    clause = f"(?: near the {noun}s?| that the (?:{noun} {see}s|{noun}s {see}))?"
    verb = f"(?:{noun}{clause} {wait}s|{noun}s{clause} {wait})"
    return re.compile(rf"({names}) {says} that the {adjectives}{verb}, and \1 {nods}\.")


class NGrams:
    """p_n(c | h) = (count(h c) + kinds(h) p_(n-1)(c | h)) / (count(h) + kinds(h)),   p_0 = 1 / K

    h are the n - 1 characters before c, kinds(h) how many different ones were seen after h.
    """

    def __init__(self, lines):
        self.after = defaultdict(Counter)
        for line in lines:
            for place in range(1, len(line)):
                for n in range(min(LONGEST, place + 1)):
                    self.after[line[place - n : place]][line[place]] += 1

    def probabilities(self, before):
        """Of every character after `before`: by p_1, p_2, … p_LONGEST."""
        p, found = [1 / len(CHARACTERS)] * len(CHARACTERS), []
        for n in range(LONGEST):
            after = self.after.get(before[max(0, len(before) - n) :])
            if after:
                kinds, whole = len(after), after.total() + len(after)
                p = [(after[c] + kinds * share) / whole for c, share in zip(CHARACTERS, p, strict=True)]
            found.append(p)
        return found


def transformer(steps):
    """Of every character read so far: which comes next."""
    block = [
        layer
        for _ in range(2)
        for layer in (
            Residual(LayerNorm(WIDTH), MultiHeadAttention(WIDTH, 4, causal=True)),
            Residual(LayerNorm(WIDTH), Dense(WIDTH, 4 * WIDTH), ReLU(), Dense(4 * WIDTH, WIDTH)),
        )
    ]
    places, kinds = Embedding(steps, WIDTH), len(CHARACTERS)
    ends = [LayerNorm(WIDTH), Dense(WIDTH, kinds), Softmax()]
    return Sequential([Embedding(kinds, WIDTH), PositionalEncoding(WIDTH, learned=places), *block, *ends], seed=0)


def written(next_ones, rng, steps):
    """SAMPLES lines, each character drawn as likely as the model has it; `next_ones(texts)` says how likely."""
    texts = [END] * SAMPLES
    for _ in range(steps):
        shares = np.cumsum(next_ones(texts), axis=1)
        drawn = (shares > rng.random((SAMPLES, 1)) * shares[:, -1:]).argmax(axis=1)
        texts = [text + CHARACTERS[code] for text, code in zip(texts, drawn, strict=True)]
    return [text[1:].partition(END)[0] for text in texts]


rng = np.random.default_rng(0)
drawn = [sentence(rng) for _ in range(LEARNED + UNSEEN)]
lines = [END + line + END for line, _ in drawn]
steps = max(map(len, lines)) - 1
codes = np.array([[CHARACTERS.index(c) for c in line.ljust(steps + 1, END)] for line in lines])
beyond = np.arange(steps) >= np.array([[len(line) - 1] for line in lines])
x, t = codes[:, :-1], np.where(beyond, PADDING, codes[:, 1:])
letters = (~beyond[LEARNED:]).sum()
print(f"{LEARNED:,} lines to learn from, {UNSEEN:,} others to predict, {letters / UNSEEN:.0f} characters each, such as")
print(f"  {lines[-1].strip()}")

model = transformer(steps)
model.fit(
    x[:LEARNED],
    t[:LEARNED],
    loss=CategoricalCrossEntropy(),
    optimizer=Adam(one_cycle(0.004, EPOCHS * math.ceil(LEARNED / BATCH))),
    epochs=EPOCHS,
    batch_size=BATCH,
)
p = np.take_along_axis(model.predict(x[LEARNED:]), codes[LEARNED:, 1:, None], axis=-1)[..., 0]
ngrams = NGrams(lines[:LEARNED])
texts = [(line[:place], CHARACTERS.index(line[place])) for line in lines[LEARNED:] for place in range(1, len(line))]
by_n = -np.log2([[p[code] for p in ngrams.probabilities(before)] for before, code in texts]).mean(axis=0)
print("bits per character")
best = int(by_n.argmin())
for n in sorted({0, 1, 3, 7, LONGEST - 1, best}):
    print(f"  {n + 1}-grams".ljust(15) + f"{by_n[n]:.3f}" + "   the best of them" * (n == best))
print(f"  transformer  {-np.log2(p[~beyond[LEARNED:]]).mean():.3f}")
print(f"  the grammar  {sum(bits for _, bits in drawn[LEARNED:]) / letters:.3f}   nobody gets below, but by luck")

pattern = sentences_as_pattern()
ways = {
    f"{best + 1}-grams": lambda texts: [ngrams.probabilities(text)[best] for text in texts],
    "transformer": lambda texts: model.predict(np.array([[CHARACTERS.index(c) for c in s] for s in texts]))[:, -1],
}
for name, next_ones in ways.items():
    texts = written(next_ones, rng, steps)
    right = [pattern.fullmatch(text) is not None for text in texts]
    print(f"\nWritten by {name}: sentences {100 * np.mean(right):.1f} % of {SAMPLES}, such as")
    for text, good in list(zip(texts, right, strict=True))[:5]:
        print(f"  {'    ' if good else 'no: '}{text}")
