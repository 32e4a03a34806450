# SPDX-License-Identifier: Apache-2.0
"""`--chat` beside apply_chat_template of transformers, on the templates that the package trl brings along.

Usage: TSR_BINARY_DIR=BUILD TSR_SOURCE_DIR=ROOT python3 -m unittest chat_test
"""

import importlib.util
import pathlib
import tempfile
import unittest

from cli_test import MODEL, CommandCase, tessera

try:
    import tokenizers
    import transformers
except ImportError:
    transformers = None

# Families that deploy.md promises.
PROMISED = ("llama3", "llama3_1", "llama3_2", "qwen2_5", "qwen3", "qwen3_instruct_2507")
TALKS = {
    "user": [("user", " Hi \n")],
    "system": [("system", " Be brief. "), ("user", "Hello there?")],
}


def template_files():
    """Of models as people load them; those for training mark the answers."""
    spec = importlib.util.find_spec("trl")
    for place in spec.submodule_search_locations if spec else ():
        files = sorted(pathlib.Path(place, "chat_templates").glob("*.jinja"))
        return [file for file in files if not file.stem.endswith("_training")]
    return []


def oracle(template, talk):
    """What transformers makes of it; None where the template fails on texts."""
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE()), bos_token="", eos_token="</s>")
    messages = [{"role": role, "content": text} for role, text in talk]
    try:
        text = tokenizer.apply_chat_template(messages, chat_template=template, add_generation_prompt=True, tokenize=False)
    except Exception:  # of a template that takes pictures, or refuses the role
        return None
    # A template that takes pictures may pass over what is no list of parts.
    return text if talk[-1][1].strip() in text else None


class ChatTemplateTest(CommandCase):
    def setUp(self):
        self.files = template_files()
        if transformers is None or not self.files:
            self.skipTest("the packages transformers and trl are not installed")

    def prompt(self, template, talk):
        """What `run --chat` feeds of it; None if it refuses the family."""
        words = dict(talk)
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            for file in MODEL.iterdir():
                if file.is_file() and file.name != "tokenizer_config.json":
                    (folder / file.name).symlink_to(file.resolve())
            (folder / "chat_template.jinja").write_text(template)
            system = ("--system", words["system"]) if "system" in words else ()
            command = ("run", folder, "--chat", "-p", words["user"], "-n", 1, *system)
            result = tessera(*command)
            if result.returncode != 0:
                self.assertIn("chat template", result.stderr)
                self.assertEqual(result.stderr.count("\n"), 1)
                return None
            ids = self.json(*command)["generations"][0]["prompt_token_ids"]
        texts = tokenizers.Tokenizer.from_file(str(MODEL / "tokenizer.json"))
        return texts.decode(ids, skip_special_tokens=False).removeprefix("<|endoftext|>")

    def test_what_is_recognized_is_what_transformers_makes(self):
        held = set()
        for file in self.files:
            template = file.read_text()
            for name, talk in TALKS.items():
                with self.subTest(template=file.stem, talk=name):
                    expected = oracle(template, talk)
                    found = self.prompt(template, talk) if expected is not None else None
                    if found is not None:
                        self.assertEqual(found, expected)
                        held.add(file.stem)
        self.assertEqual(set(PROMISED) - held, set())
        print(f"{len(held)} of {len(self.files)} templates: {', '.join(sorted(held))}")


if __name__ == "__main__":
    unittest.main()
