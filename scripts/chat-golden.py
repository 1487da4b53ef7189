#!/usr/bin/python3
"""Golden token ids of chat pairs, by Jinja2 itself and a byte-pair encoder of its own (Debian's python3-jinja2).

Writes test/node/training/golden/chats.json: a small byte-level tokenizer with merges learnt here, and for each template
under test/node/training/templates the ids that prompt, chosen and rejected must become. The rules are those of
docs/decisions/0017-where-a-prompt-ends.md; the boundary of a template that opens a thinking block is found here by
looking for the answer's text in what Jinja2 renders.

    /usr/bin/python3 scripts/chat-golden.py
"""
import json
import re
from collections import Counter
from pathlib import Path

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

ROOT = Path(__file__).resolve().parent.parent / "test/node/training"
WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+")  # ASCII only
# Llama 3's and Qwen's cut, which keeps line breaks together; in full, and for ASCII.
LINES = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
LINES_IN_ASCII = re.compile(
    LINES.replace(r"\s\p{L}\p{N}", r"\sA-Za-z0-9").replace(r"\r\n\p{L}\p{N}", r"\r\nA-Za-z0-9")
    .replace(r"\p{L}", "[A-Za-z]").replace(r"\p{N}", "[0-9]"))
CORPUS = """system user assistant Today is the day. The answer is yes, and the reason is short.\n\nWhat is it?\n\n
Name the colour of the sky.\n\nThe sky is blue. You answer in few words.\n\nNo more than that, and not a word less."""
MERGES = 80


def byte_symbols():
    """The printable character that stands for each byte, as in GPT-2."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    spare = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(spare)) for byte in range(256)]


SYMBOLS = byte_symbols()


def symbols(word):
    return [SYMBOLS[byte] for byte in word.encode()]


def merged(parts, pair):
    out = []
    for part in parts:
        if out and (out[-1], part) == pair and out[-1] is not None:
            out[-1] = out[-1] + part
            out.append(None)  # a merged part does not merge again in this pass
        else:
            out.append(part)
    return [part for part in out if part is not None]


def learn():
    words = [symbols(word) for word in WORDS.findall(CORPUS)]
    merges = []
    for _ in range(MERGES):
        counts = Counter(pair for word in words for pair in zip(word, word[1:]))
        pair = min(counts, key=lambda each: (-counts[each], each))
        merges.append(pair)
        words = [merged(word, pair) for word in words]
    line_break = SYMBOLS[10]
    return [*merges, (line_break, line_break)]  # one that joins what templates write to what answers begin with


class Encoder:
    def __init__(self, merges, specials, bos, lines):
        self.merges, self.specials, self.bos, self.lines = merges, specials, bos, lines
        self.tokens = [*SYMBOLS, *dict.fromkeys(a + b for a, b in merges)]
        self.ids = {token: i for i, token in enumerate([*self.tokens, *specials])}

    def encode(self, text):
        """With the BOS in front, unless it is there or the model has none."""
        split = re.compile("(" + "|".join(re.escape(s) for s in sorted(self.specials, key=len, reverse=True)) + ")")
        out = []
        for part in split.split(text):
            if part in self.specials:
                out.append(self.ids[part])
            else:
                out.extend(self.ids[piece] for word in (LINES_IN_ASCII if self.lines else WORDS).findall(part) for piece in self.word(word))
        bos = self.ids.get(self.bos)
        return out if bos is None or out[:1] == [bos] else [bos, *out]

    def word(self, word):
        parts = symbols(word)
        for pair in self.merges:
            parts = merged(parts, pair)
        return parts


class Generation(Extension):
    """`{% generation %}`: marks the assistant's tokens in some templates, and renders what it holds."""
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(["name:endgeneration"], drop_needle=True)).set_lineno(line)


def refuse(problem):
    raise ValueError(problem)


def clock(form):
    for code, value in {"%d": "26", "%b": "Jul", "%B": "July", "%Y": "2024"}.items():
        form = form.replace(code, value)
    return form


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def system(text):
    return {"role": "system", "content": text}


SINGLE = {"prompt": [user("What is the sky?")], "chosen": [assistant("It is blue.")],
          "rejected": [assistant("The sky is the colour of the day, and more.")]}
TURNS = [system("Name the reason."), user("Is it day?"), assistant("Yes."), user("And what is it not?")]
IMPLICIT = {"chosen": [*TURNS, assistant("The answer is short.")], "rejected": [*TURNS, assistant("No.")]}
THOUGHT = {"prompt": [user("Is it day?")], "chosen": [assistant("<think>\nThe sky is blue.\n</think>\n\nYes.")],
           "rejected": [assistant("No.")]}

FAMILIES = {
    # name: (template, special tokens, the end of a turn last, BOS, whether line breaks are kept together, cases)
    "ChatML": ("chatml", ["<|im_start|>", "<|im_end|>"], None, False, {
        "one turn": SINGLE,
        "an implicit prompt of several turns": IMPLICIT,
        "an answer that would merge with the line break before it":
            {**SINGLE, "chosen": [assistant("\n\nIt is blue.")], "apart": True},
    }),
    "Llama 3": ("llama3", ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
                "<|begin_of_text|>", True, {
        "one turn": SINGLE,
        "an implicit prompt of several turns": IMPLICIT,
        "a day of its own": {**SINGLE, "chat_template_kwargs": {"date_string": "1 May 1999"}},
    }),
    "Llama 3 under a tokenizer that cuts line breaks apart": (
        "llama3", ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        "<|begin_of_text|>", False, {
            "one turn": {**SINGLE, "apart": True},
        }),
    "Mistral": ("mistral", ["<s>", "</s>"], "<s>", False, {
        "one turn": SINGLE,
        "an implicit prompt of several turns": IMPLICIT,
    }),
    "Qwen3": ("qwen3", ["<|im_start|>", "<|im_end|>"], None, True, {
        "one turn, with the empty thought that the template adds": SINGLE,
        "an implicit prompt of several turns": IMPLICIT,
        "thinking turned off": {**SINGLE, "chat_template_kwargs": {"enable_thinking": False}},
        "one answer with a thought": THOUGHT,
        "tools": {**SINGLE, "tools": [{"name": "look"}, {"name": "ask"}]},
    }),
    "SmolLM3": ("smollm3", ["<|im_start|>", "<|im_end|>"], None, True, {
        "one turn, with a day in the system prompt": SINGLE,
        "an implicit prompt of several turns": IMPLICIT,
        "thinking turned off": {**SINGLE, "chat_template_kwargs": {"enable_thinking": False}},
    }),
    "a template that opens a thought it does not write": ("opensThinking", ["<|im_start|>", "<|im_end|>"], None, True, {
        "one turn": {**SINGLE, "atAnswerText": True},
        "an implicit prompt of several turns": {**IMPLICIT, "atAnswerText": True},
        "one answer with a thought": {**THOUGHT, "atAnswerText": True},
    }),
}


def conversations(pair):
    if "prompt" in pair:
        return pair["prompt"], pair["chosen"], pair["rejected"]
    shared = 0
    while pair["chosen"][shared] == pair["rejected"][shared]:
        shared += 1
    return pair["chosen"][:shared], pair["chosen"][shared:], pair["rejected"][shared:]


def expected(template, encoder, end, pair):
    prompt, chosen, rejected = conversations(pair)
    known = {**pair.get("chat_template_kwargs", {}), "bos_token": encoder.bos or "", "eos_token": end}
    if "tools" in pair:
        known["tools"] = pair["tools"]
    whole = [template.render(messages=[*prompt, *answer], add_generation_prompt=False, **known)
             for answer in (chosen, rejected)]
    if pair.get("atAnswerText"):
        text = rejected[-1]["content"]
        start = whole[1][:whole[1].rindex(text)]
    else:
        start = template.render(messages=prompt, add_generation_prompt=True, **known)
    assert all(text.startswith(start) for text in whole), (start, whole)
    ids, out, apart = encoder.encode(start), [], False
    for text in whole:
        together = encoder.encode(text)
        completion = together[len(ids):]
        if together[:len(ids)] != ids:
            apart = True
            completion = Encoder(encoder.merges, encoder.specials, None, encoder.lines).encode(text[len(start):])
        last = max(i for i, token in enumerate(completion) if token == encoder.ids[end])
        out.append(completion[:last + 1])
    assert apart == pair.get("apart", False), (start, whole)
    return {"prompt": ids, "chosen": out[0], "rejected": out[1]}


def main():
    merges = learn()
    jinja = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                          extensions=[Generation, "jinja2.ext.loopcontrols"])
    jinja.globals.update(strftime_now=clock, raise_exception=refuse)
    families = []
    for name, (file, specials, bos, lines, cases) in FAMILIES.items():
        end = specials[-1]
        encoder = Encoder(merges, specials, bos, lines)
        template = jinja.from_string((ROOT / f"templates/{file}.jinja").read_text())
        families.append({
            "name": name, "template": file, "specials": specials, "bos": bos, "eos": end,
            "pattern": LINES if lines else None,
            "cases": [{"name": case,
                       "pair": {k: v for k, v in pair.items() if k not in ("apart", "atAnswerText")},
                       "apart": pair.get("apart", False), "atAnswerText": pair.get("atAnswerText", False),
                       "ids": expected(template, encoder, end, pair)} for case, pair in cases.items()],
        })
    golden = {"tokens": Encoder(merges, [], None, False).tokens,
              "merges": merges, "families": families}
    file = ROOT / "golden/chats.json"
    file.write_text(json.dumps(golden, ensure_ascii=True) + "\n")
    print(f"{file}: {sum(len(f['cases']) for f in families)} cases, {file.stat().st_size} bytes")


main()
