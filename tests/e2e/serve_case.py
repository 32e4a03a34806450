# SPDX-License-Identifier: Apache-2.0
"""A running `tessera serve`, and requests to it."""

import http.client
import json
import os
import pathlib
import subprocess
import tempfile

from cli_test import BINARY, MODEL, CommandCase

CHAT_TEMPLATE = ("{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
                 "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
JSON = {"Content-Type": "application/json"}


def chat_model(folder):
    """The default model with a chat template, of which it makes nothing sensible."""
    for file in MODEL.iterdir():
        if file.is_file() and file.name != "tokenizer_config.json":
            (folder / file.name).symlink_to(file.resolve())
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    return folder


class ServeCase(CommandCase):
    """One server for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.model = chat_model(pathlib.Path(folder.name))
        cls.process, cls.facts = cls.start()
        cls.addClassCleanup(cls.process.kill)
        cls.port = int(cls.facts["url"].rsplit(":", 1)[1])

    @classmethod
    def start(cls, *words, env=None):
        process = subprocess.Popen([BINARY, "serve", cls.model, "--port", "0", "--json", "--context", "300",
                                    *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, **(env or {})})
        text = ""
        while not text.endswith("}\n"):
            line = process.stdout.readline()
            if not line:
                raise AssertionError(process.stderr.read())
            text += line
        return process, json.loads(text)

    def tearDown(self):
        self.assertIsNone(self.process.poll(), "the server ended")

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or (JSON if body else {}))
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def ask(self, path, **body):
        status, text = self.request("POST", path, json.dumps(body))
        self.assertEqual(status, 200, text)
        return json.loads(text)

    def events(self, path, **body):
        status, text = self.request("POST", path, json.dumps({**body, "stream": True}))
        self.assertEqual(status, 200, text)
        events = text.split("\n\n")
        self.assertEqual(events[-2:], ["data: [DONE]", ""])
        return [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
