# SPDX-License-Identifier: Apache-2.0
"""`tessera serve` by clients: the openai package where it is installed, and http.client.

Usage: TSR_BINARY_DIR=BUILD TSR_SOURCE_DIR=ROOT python3 -m unittest serve_test
"""

import concurrent.futures
import http.client
import json
import pathlib
import tempfile
import threading
import unittest

from serve_case import JSON, ServeCase

try:
    import openai
except ImportError:
    openai = None


class ServeTest(ServeCase):
    def test_lists_its_model(self):
        status, text = self.request("GET", "/v1/models")
        self.assertEqual(status, 200)
        models = json.loads(text)
        self.assertEqual([model["id"] for model in models["data"]], [self.model.name])
        self.assertEqual(self.request("GET", f"/v1/models/{self.model.name}")[0], 200)
        self.assertEqual(self.request("GET", "/v1/models/other")[0], 404)
        self.assertEqual(self.request("GET", "/health")[0], 200)

    def test_completes_as_run_does(self):
        words = ("run", self.model, "-p", "A library for", "-n", 12)
        expected = self.json(*words)
        reply = self.ask("/v1/completions", model=self.model.name, prompt="A library for", max_tokens=12, temperature=0)
        choice = reply["choices"][0]
        self.assertEqual(choice["text"], expected["text"])
        self.assertEqual(choice["finish_reason"], {"eos": "stop"}.get(expected["finish_reason"], "length"))
        self.assertEqual(reply["usage"]["prompt_tokens"], expected["prompt_tokens"])
        self.assertEqual(reply["usage"]["completion_tokens"], expected["new_tokens"])
        self.assertEqual(reply["object"], "text_completion")

    def test_streams_the_same_text(self):
        whole = self.ask("/v1/completions", prompt="Once", max_tokens=16, temperature=0)
        events = self.events("/v1/completions", prompt="Once", max_tokens=16, temperature=0,
                             stream_options={"include_usage": True})
        text = "".join(choice["text"] for event in events for choice in event["choices"])
        self.assertEqual(text, whole["choices"][0]["text"])
        self.assertGreater(len(events), 4)
        self.assertEqual(events[-1]["usage"], whole["usage"])
        self.assertEqual(events[-2]["choices"][0]["finish_reason"], whole["choices"][0]["finish_reason"])

    def test_chats_as_run_does(self):
        expected = self.json("run", self.model, "--chat", "--system", "Be brief.", "-p", "Hi", "-n", 8)
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
        reply = self.ask("/v1/chat/completions", messages=messages, max_tokens=8, temperature=0)
        message = reply["choices"][0]["message"]
        self.assertEqual((message["role"], message["content"]), ("assistant", expected["text"]))
        events = self.events("/v1/chat/completions", messages=messages, max_tokens=8, temperature=0)
        self.assertEqual(events[0]["choices"][0]["delta"]["role"], "assistant")
        text = "".join(event["choices"][0]["delta"].get("content", "") for event in events)
        self.assertEqual(text, expected["text"])

    def test_stop_texts_end_an_answer_and_are_no_part_of_it(self):
        whole = self.ask("/v1/completions", prompt="A library for", max_tokens=24, temperature=0)["choices"][0]["text"]
        stop = whole[len(whole) // 2:][:3]
        cut = self.ask("/v1/completions", prompt="A library for", max_tokens=24, temperature=0, stop=[stop])
        self.assertEqual(cut["choices"][0]["text"], whole[:whole.index(stop)])
        self.assertEqual(cut["choices"][0]["finish_reason"], "stop")

    def test_a_seed_says_which_answer(self):
        def texts(seed):
            reply = self.ask("/v1/completions", prompt="A", max_tokens=12, temperature=1.0, seed=seed, n=2)
            return [choice["text"] for choice in reply["choices"]]
        self.assertEqual(texts(5), texts(5))
        self.assertNotEqual(texts(5)[0], texts(5)[1])

    def test_several_clients_at_once_get_what_one_gets(self):
        alone = self.ask("/v1/completions", prompt="A library", max_tokens=8, temperature=0)["choices"]
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            replies = list(pool.map(lambda _: self.ask("/v1/completions", prompt="A library", max_tokens=8,
                                                       temperature=0), range(12)))
        self.assertEqual([reply["choices"] for reply in replies], [alone] * 12)

    @unittest.skipUnless(openai, "the openai package is not installed")
    def test_answers_the_openai_client(self):
        client = openai.OpenAI(base_url=f"{self.facts['url']}/v1", api_key="none")
        self.assertEqual([model.id for model in client.models.list()], [self.model.name])
        done = client.completions.create(model=self.model.name, prompt="A library for", max_tokens=8, temperature=0)
        messages = [{"role": "user", "content": "Hi"}]
        chat = client.chat.completions.create(model=self.model.name, messages=messages, max_tokens=8, temperature=0)
        stream = client.chat.completions.create(model=self.model.name, messages=messages, max_tokens=8, temperature=0,
                                                stream=True)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        self.assertEqual(text, chat.choices[0].message.content)
        self.assertGreater(done.usage.completion_tokens, 0)
        with self.assertRaises(openai.NotFoundError):
            client.completions.create(model="other", prompt="a")
        with self.assertRaises(openai.BadRequestError):
            client.completions.create(model=self.model.name, prompt="a", logprobs=2)


class FairnessTest(ServeCase):
    """Several at once: in the same steps, then in the order in which they came."""

    @classmethod
    def start(cls, *words, env=None):
        return super().start("--parallel", 2, "--queue", 2, *words, env=env)

    LONG = {"prompt": "A", "max_tokens": 290, "temperature": 1, "seed": 3}

    def stream(self, body):
        """A connection whose answer has begun."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", "/v1/completions", json.dumps({**body, "stream": True}), JSON)
        response = connection.getresponse()
        self.assertEqual(response.status, 200)
        self.assertTrue(response.readline().startswith(b"data: "))
        return connection, response

    def test_a_short_answer_does_not_wait_for_a_long_one(self):
        # Sixteen answers one after another in one request, which takes one place alone.
        connection, response = self.stream({**self.LONG, "n": 16})
        done = threading.Event()
        reader = threading.Thread(target=lambda: (response.read(), done.set()))
        reader.start()
        self.ask("/v1/completions", prompt="A library", max_tokens=4, temperature=0)
        self.assertFalse(done.is_set())
        reader.join()
        connection.close()

    def test_what_one_gets_does_not_depend_on_the_others(self):
        alone = self.ask("/v1/completions", prompt="A library", max_tokens=40, temperature=0)["choices"]
        connection, response = self.stream(self.LONG)
        self.assertEqual(self.ask("/v1/completions", prompt="A library", max_tokens=40, temperature=0)["choices"], alone)
        connection.close()

    def test_who_comes_when_the_queue_is_full_is_told_to_come_again(self):
        taken = [self.stream({**self.LONG, "n": 16}) for _ in range(2)]

        def ask(_):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            connection.request("POST", "/v1/completions", json.dumps({"prompt": "A", "max_tokens": 1}), JSON)
            response = connection.getresponse()
            found = response.status, response.getheader("Retry-After"), response.read()
            connection.close()
            return found

        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            replies = list(pool.map(ask, range(12)))
        self.assertEqual(self.request("GET", "/health")[0], 200)
        for connection, _ in taken:
            connection.close()
        refused = [reply for reply in replies if reply[0] != 200]
        self.assertEqual({reply[:2] for reply in refused}, {(503, "1")})
        self.assertIn("answered and wait", json.loads(refused[0][2])["error"]["message"])
        self.assertLess(len(refused), 12)


class ApiKeyTest(ServeCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.keys = pathlib.Path(folder.name) / "keys"
        cls.keys.write_text("# of the team\nsesame-1\n\nsesame-2\n")
        super().setUpClass()

    @classmethod
    def start(cls, *words, env=None):
        return super().start("--api-key-file", cls.keys, *words, env={"TESSERA_API_KEY": "sesame-3", **(env or {})})

    def status(self, key, path="/v1/models", scheme="Bearer"):
        return self.request("GET", path, headers={"Authorization": f"{scheme} {key}"} if key else {})[0]

    def test_only_those_with_a_key_are_answered(self):
        for key in ("sesame-1", "sesame-2", "sesame-3"):
            self.assertEqual(self.status(key), 200, key)
        for key in (None, "", "sesame", "sesame-11", "sesame-1 x", "# of the team", "x" * 5000):
            self.assertEqual(self.status(key), 401, key)
        self.assertEqual(self.status("sesame-1", scheme="Basic"), 401)
        self.assertEqual(self.status(None, "/health"), 200)
        status, text = self.request("POST", "/v1/completions", '{"prompt": "A", "max_tokens": 1}')
        self.assertEqual((status, json.loads(text)["error"]["code"]), (401, "invalid_api_key"))

    @unittest.skipUnless(openai, "the openai package is not installed")
    def test_the_openai_client_brings_its_key(self):
        client = openai.OpenAI(base_url=f"{self.facts['url']}/v1", api_key="sesame-2")
        done = client.completions.create(model=self.model.name, prompt="A", max_tokens=2)
        self.assertGreater(done.usage.completion_tokens, 0)
        client = openai.OpenAI(base_url=f"{self.facts['url']}/v1", api_key="none", max_retries=0)
        with self.assertRaises(openai.AuthenticationError):
            client.models.list()

    def test_files_without_a_good_key_are_refused(self):
        for text in ("", "# nothing\n", "two words\n", "caf\u00e9\n"):
            path = self.keys.parent / "bad"
            path.write_text(text)
            self.refused(1, "--api-key-file", "serve", self.model, "--api-key-file", path)
        self.refused(1, "--api-key-file", "serve", self.model, "--api-key-file", self.keys.parent / "none")


if __name__ == "__main__":
    unittest.main()
