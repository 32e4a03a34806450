# SPDX-License-Identifier: Apache-2.0
"""The strings of the tokenizer cases, by topic. Whatever is invisible or ambiguous is written as an escape."""

PLAIN = [
    "", "a", "A", "Hello", "Hello, world!", "The quick brown fox jumps over the lazy dog.",
    "Once upon a time, there was a little girl named Lily.",
    "This package provides the shared library and a command line tool.",
    "library for reading the logs of home weather stations",
    "supercalifragilisticexpialidocious", "antidisestablishmentarianism is a long word", "CamelCaseAndsnake_case and kebab-case",
    "UPPER lower Title mIxEd", "Wait... what?! No -- really; (yes), [no], {maybe}.", "\"Quoted\" and 'single' and `back`",
    "one\u2014two\u2013three\u2026 \u201cfour\u201d \u2018five\u2019", "a.b.c", "e.g., i.e., etc.", "word/word\\word|word",
    "rock'n'roll", "mother-in-law's", "100% of $5.00 & more", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "abababababababababababab",
    "tessera tessera tessera", "it is unreachable", "She said \"Lily, let's go to the park.\" and left.", "The end",
    "To be, or not to be: that is the question.", "x", "\u00e9", "?", "!?!?!?", "----------", "==========", "....", "~~~", "***", "___",
]

CONTRACTIONS = [
    "I'm", "you're", "he's", "we've", "they'll", "she'd", "don't", "can't", "I'M", "YOU'RE", "HE'S", "WE'VE", "THEY'LL", "SHE'D", "DON'T",
    "I'm you're he's we've they'll she'd don't", "I'M YOU'RE HE'S WE'VE THEY'LL SHE'D DON'T", "'s 't 're 've 'm 'll 'd", "'S'T'RE'VE'M'LL'D",
    "'sample", "'tis 'twas", "'Mid", "it's'", "''s", "it\u2019s", "it'\u017f", "it'\u017fa", "o'clock", "'lL 'Ve 'rE", "I'mma", "x'y'z", "'The", "'THE", "'Then say 'The end'", "'Mon 'Different", "I'D'VE", "'", "''", "'''",
]

DIGITS = [
    "0", "1", "12", "123", "1234", "12345", "1234567890", "3.14159", "1,234,567.89", "-42", "+7", "1e10", "0x1F", "2024-01-31",
    "12:34:56.789", "192.168.0.1", "a1b2c3", "v1.2.3-rc4", "007", "1st 2nd 3rd", "10 000", "x86_64", "H2O", "50%", "\u00bd \u00bc \u00be", "x\u00b2 + y\u00b3",
    "\u0661\u0662\u0663\u0664\u0665", "\u0967\u0968\u0969", "\u0e51\u0e52\u0e53", "\u2160\u2161\u216b", "\u2460\u2461", "\uff11\uff12\uff13", "\u4e00\u4e8c\u4e09", "\U0001d7ce\U0001d7cf", "9" * 30,
]

WHITESPACE = [
    " ", "  ", "   ", "    ", " " * 8, " " * 17, " " * 64, "\t", "\t\t", "\n", "\n\n", "\n\n\n\n", "\r\n", "\r\n\r\n", "\r", " \n", "\n ", " \n ", "\t\n\t", " \t ",
    " a", "a ", " a ", "  a", "a  ", "   a   b   ", "a b", "a  b", "a   b", "a\tb", "a \tb", "a\t b", "a\nb", "a \nb", "a\n b", "a \n b", "a\r\nb", "a\r\n\r\nb", "a\rb",
    "a\n\n\nb", "a  \n  b", "one\ntwo\nthree\n", "line one\r\nline two\r\n", "trailing spaces   \nnext", "\u00a0", "a\u00a0b", "a\u00a0\u00a0b", "\u3000", "a\u3000b", "\u4f60\u597d\u3000\u4e16\u754c",
    "a\u2003b", "a\u2009b", "a\u200ab", "a\u202fb", "a\u205fb", "a\u2028b", "a\u2029b", "a\u0085b", "a\u200bb", "a\ufeffb", "\ufeffa", "a\u180eb", "a \u180e 1", "a\u1680b", "a\u000bb", "a\u000cb", "a\u001cb",
    "a \u00a0 b", " !", "  !", "\t!", "\n!", " \n!", "! \n", "!\n", "!\n\n", "!\r\n\r\na", " .\n .", "\u00a0!", "\u00a0a", "\u30001", " 1", "  1", "\t1", "a" + " " * 40 + "b", "\n" * 20, "\t" * 12 + "x",
    "mixed \t\n \r\n  \u00a0\u3000 end",
]

# White space to some definitions of it and not to others.
ODD_SPACES = "\u001c\u001f\u0085\u00a0\u180e\u2003\u200b\u2028\u2060\u3000\ufeff"
WHITESPACE += [form.replace("~", space) for space in ODD_SPACES for form in ("x~!", "~?y", "x~~!")]

CONTROL = [
    "\x00", "a\x00b", "\x01\x02\x03", "\x07bell", "\x08", "\x1b[31mred\x1b[0m", "\x7f", "a\x7fb", "\x80", "\x85", "\x9f", "\u00ad", "soft\u00adhyphen", "\u200e\u200f", "\u202aabc\u202c", "\u2066x\u2069", "\ufff9a\ufffb", "\ufffd", "a\ufffdb", "\ufffe", "\uffff", "\U0010ffff", "\ue000", "\U000e0041",
]

CODE = [
    "int main(void) { return 0; }", "for (int i = 0; i < n; ++i) {\n    sum += a[i];\n}\n", "def f(x):\n    return x ** 2\n\n\nprint(f(3))",
    "if (a == b && c != d || !e) {", "#include <stdio.h>", "std::vector<std::pair<int, float>> v{{1, 2.f}};", "let x = |a: &str| -> Option<u8> { None };",
    "SELECT name, COUNT(*) FROM t WHERE id >= 10 GROUP BY name;", "<a href=\"https://example.org/?q=1&r=2#top\">link</a>", "{\"key\": [1, 2.5, null, true]}",
    "$HOME/.config/tessera.toml", "C:\\Users\\name\\file.txt", "ls -la | grep '^d' > out.txt 2>&1", "a->b.c::d", "x = y?z:w;", "\t\tif x:\n\t\t\tpass", "// comment\n/* block */", "0b1010 0o17 0xDEADBEEF",
    "user@example.com", "https://example.org/path/to/file.html?query=string&other=1#frag", "\\n \\t \\\\ \\u0041", "%s %d %05.2f", "__init__", "a_b_c", "snake_case_name", "kebab-case-name", "@decorator", "#hashtag", "```python\nprint('hi')\n```",
]

LATIN = [
    "caf\u00e9", "cafe\u0301", "na\u00efve r\u00e9sum\u00e9", "\u00c5ngstr\u00f6m", "A\u030angstro\u0308m", "\u212bngstrom", "Stra\u00dfe STRASSE", "\u0141\u00f3d\u017a, Krak\u00f3w, Gda\u0144sk", "P\u0159\u00edli\u0161 \u017elu\u0165ou\u010dk\u00fd k\u016f\u0148", "\u0130stanbul \u0131\u015f\u0131k",
    "Ti\u1ebfng Vi\u1ec7t", "Tie\u0302\u0301ng Vie\u0323\u0302t", "\u00bfQu\u00e9 tal, se\u00f1or?", "\u00c6r\u00f8 \u00d8l", "\ufb01ne \ufb02ow", "\u01c6 \u01c5", "\u1e9e", "\u0149n", "q\u0307\u0323", "q\u0323\u0307", "o\u0328\u0304 \u01ed", "a\u0300\u0301\u0302\u0303", "\u0344", "\u1e0b\u0323", "\u0301", " \u0301", "\uff21\uff22\uff43", "\u1d2c\u2090", "\u00aa\u00ba",
]

SCRIPTS = [
    # Cyrillic, Greek, Armenian, Georgian
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!", "\u0421\u044a\u0435\u0448\u044c \u0435\u0449\u0451 \u044d\u0442\u0438\u0445 \u0431\u0443\u043b\u043e\u043a", "\u0419\u0439 \u0418\u0306\u0438\u0306", "\u0407\u0436\u0430\u043a \u0454", "\u0409\u0443\u0431\u0430\u0432", "1917 \u0433\u043e\u0434", "\u041d\u0415\u0422", "\u0395\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac", "\u039a\u03b1\u03bb\u03b7\u03bc\u03ad\u03c1\u03b1, \u03ba\u03cc\u03c3\u03bc\u03b5\u00b7", "\u1f08\u03c1\u03c7\u03ae", "\u1fbb \u0386", "\u2126 \u03a9 \u00b5 \u03bc", "\u0540\u0561\u0575", "\u10e5\u10d0\u10e0\u10d7\u10e3\u10da\u10d8",
    # Chinese, Japanese, Korean
    "\u4f60\u597d\uff0c\u4e16\u754c\uff01", "\u4eca\u5929\u5929\u6c14\u5f88\u597d\u3002", "\u65e5\u672c\u8a9e\u306e\u30c6\u30b9\u30c8", "\u30ab\u30bf\u30ab\u30ca \u3072\u3089\u304c\u306a \u6f22\u5b57", "\u304b\u3099 \u304c", "\u30cf\u309a", "\uff76\uff9e", "\u3001\u3002\u300c\u300d", "\ud55c\uad6d\uc5b4 \uc785\ub2c8\ub2e4", "\u1112\u1161\u11ab\u1100\u116e\u11a8", "\u1112\u1161", "\uac00\u11a8", "\u3131\u314f", "\uf900 \u8c48", "\U0002f800", "\U00020000\U00020001", "\u4e2dA\u6587B", "\u7b2c1\u7ae0", "\u3007\u3005",
    # Arabic, Hebrew, Devanagari, Thai, others
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645", "\u0645\u064f\u062d\u064e\u0645\u0651\u064e\u062f", "\u0622 \u0627\u0653", "\u0644\u0627\u060c \u0646\u0639\u0645\u061f", "\ufefb", "\u0640\u0640\u0640", "\u0641\u0627\u0631\u0633\u06cc \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd", "\u05e9\u05bc\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd", "\ufb1d \ufb2a", "\u05d0\u05f4\u05d1", "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e", "\u0958 \u0915\u093c", "\u0915\u094d\u0937\u093f", "\u0995\u09cb \u0995\u09c7\u09be", "\u09a1\u09bc \u09dc", "\u0ba4\u0bae\u0bbf\u0bb4\u0bcd", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01", "\u0e19\u0e49\u0e33 \u0e33", "\u0ea5\u0eb2\u0ea7", "\u1019\u103c\u1014\u103a\u1019\u102c", "\u1781\u17d2\u1798\u17c2\u179a", "\u12a0\u121b\u122d\u129b", "\u0f56\u0f7c\u0f51\u0f0b", "\u13e3\u13b3\u13a9", "\U00010330\U00010331", "\U00012000", "\U0001e900\U0001e901", "\u16a0\u16a2\u16a6", "\U0001d400\U0001d41a \U0001d6fc",
]

EMOJI = [
    "\U0001f600", "\U0001f600\U0001f601", "hi \U0001f600!", "\U0001f44d\U0001f3fd", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f3f3\ufe0f\u200d\U0001f308", "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", "\u2764\ufe0f", "\u2764", "1\ufe0f\u20e3", "\u00a9\u00ae\u2122", "\U0001f9d1\U0001f3fb\u200d\U0001f4bb codes", "a\U0001f600b", " \U0001f600 ", "\u263a\ufe0e", "\U0001fae0",
]

MATH = [
    "\u2200x\u2208\u211d: x\u00b2 \u2265 0", "\u222b\u2080\u221e e\u207b\u02e3 dx = 1", "a \u00d7 b \u00f7 c \u00b1 d", "\u2211\u1d62 a\u1d62", "\u221a2 \u2248 1.414", "\u2260 \u2a74", "\u226e <\u0338", "\u2190\u2192\u21d2", "\u03b1\u03b2\u03b3 \u2202\u2207", "f: X \u2192 Y", "\u2308x\u2309", "\u27e8a|b\u27e9 \u2329", "\u20ac5 \u00a36 \u00a57 \u20b9", "25 \u00b0C 10 \u2103", "\u00a7 5 \u00b6", "\u2500\u2502\u250c \u2588\u2593", "\u25a0\u25cf\u25b2", "\u2581", "\u2581a", "a\u2581b", "a \u2581 b", "\u2581\u2581\u2581", "_\u2581_",
]

# Names of special tokens of the real models and of the synthetic ones, bare and inside text.
SPECIAL = [
    "<s>", "</s>", "<unk>", "<pad>", "<s>a", "a<s>", "a<s>b", "a <s> b", " <s>", "<s> ", "<s><s>", "<s></s>", "</s>\n<s>", "a</s>b</s>c", "Hello</s>  world", "<unk>unk</unk>",
    "<|endoftext|>", "a<|endoftext|>b", "a <|endoftext|> b", "<|endoftext|><|endoftext|>", " <|endoftext|>\n\n", "\n\n<|endoftext|>\n\nnext", "<|endoftext|", "|endoftext|>", "<|ENDOFTEXT|>", "<| endoftext |>", "<|pad|>", "<<|pad|>>",
    "<|start_story|>", "<|start_story|>Once", "<|start_story|> Once", "a<|start_story|>b", "a <|start_story|> b", "<|end_story|>", "The end.<|end_story|>", "The end. <|end_story|>\n", "<|start_story|><|end_story|>", "a  <|end_story|>  b",
    "<|im_start|>user\nHi there<|im_end|>\n<|im_start|>assistant\n", "<|im_start|>system\nYou are helpful.<|im_end|>", "<|im_start|> <|im_end|>", "<think>\n\n</think>\n\nAnswer", "<tool_call>{\"name\": \"f\"}</tool_call>",
    "<|begin_of_text|>", "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>", "x<|eot_id|>y", "[INST] Hi [/INST] Yes</s>", "[INST][/INST]", "<0x41>", "<0x0A>", "a<0xE2>b", "<0x00>",
    "a <LS> b", "a  \n<LS>\n b", "<LS>", " <LS> ", "a<LS>b", "a <RS> b", "a\n<RS>  \n b", "<RS>", " <RS> ", "a<RS>b", "a  <LR>  b", "a<LR>b", " <LR> ", "<LR><LR>", "a <LR> <LR> b", "a\u00a0<LR>\u3000b",
    "a <SW> b", "a<SW>b", "<SW>", "a <SW>b", "<SW>.", "\u00e9<SW>", "1<SW>", "_<SW>_", "-<SW>-", "a <NR> b", "a<NR>b", "<NR>", "caf\u00e9<NR>caf\u00e9", "a <PL> b", "a<PL>b", " <PL> ", "<PL><PL>",
    "na\u00efvit\u00e9", "nai\u0308vite\u0301", "x nai\u0308vite\u0301 y", "two words here", "these two words", "two  words", "two\u2581words", "<long>", "<long><er>", "<long><er", "<long><long><er>", "<er>", "<LS><RS>", "a <RS> <LS> b",
]

LONG = [
    "Libwxlog reads the binary log files that common home weather stations write to their memory cards. It converts temperature, pressure, rainfall and wind records to plain numbers in SI units.\n\nThis package contains the shared library that programs need at run time.",
    "Lily and Tom went to the park. They saw a big, red ball. \"Can we play with it?\" asked Lily. \"Yes!\" said Tom, and they played until it was dark.\nThe end.",
    "Mixed \u4e2d\u6587 \u0438 \u0440\u0443\u0441\u0441\u043a\u0438\u0439, \u0395\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac, \u05e2\u05d1\u05e8\u05d9\u05ea, \u0627\u0644\u0639\u0631\u0628\u064a\u0629, \u0939\u093f\u0928\u094d\u0926\u0940, \u0e44\u0e17\u0e22, \U0001f600 1234 it's 50%!\r\n\tEnd.",
    "its features are:\n * fast;\n * small;\n   - nested\n * done.\n\n\n    indented code\n\twith a tab\n",
]

STRINGS = PLAIN + CONTRACTIONS + DIGITS + WHITESPACE + CONTROL + CODE + LATIN + SCRIPTS + EMOJI + MATH + SPECIAL + LONG
