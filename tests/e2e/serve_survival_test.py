# SPDX-License-Identifier: Apache-2.0
"""`tessera serve` among wrong requests, odd clients and signals, by http.client and bare sockets.

Usage: TSR_BINARY_DIR=BUILD TSR_SOURCE_DIR=ROOT python3 -m unittest serve_survival_test
"""

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import unittest

from cli_test import BINARY
from serve_case import JSON, ServeCase


class HostileRequestTest(ServeCase):
    def refused(self, status, contains, method, path, body=None, headers=None):
        found, text = self.request(method, path, body, headers)
        self.assertEqual(found, status, text)
        self.assertIn(contains, json.loads(text)["error"]["message"])

    def test_wrong_requests_are_one_clear_error(self):
        post = ("POST", "/v1/completions")
        self.refused(400, "not a JSON object", *post, "{")
        self.refused(400, "prompt: ", *post, "{}")
        self.refused(400, "is none of the model's", *post, '{"prompt": [99999]}')
        self.refused(400, "the context holds 300", *post, json.dumps({"prompt": "a b " * 500}))
        self.refused(404, "there is no other", *post, '{"model": "other", "prompt": "a"}')
        self.refused(404, "no such path", "GET", "/v2")
        self.refused(404, "no such path", "GET", "/../../etc/passwd")
        self.refused(415, "application/json", *post, "{}", {"Content-Type": "text/plain"})
        self.refused(403, "not this machine", "GET", "/v1/models", None, {"Host": "evil.example"})
        self.refused(400, "role", "POST", "/v1/chat/completions", '{"messages": [{"role": "x", "content": "a"}]}')

    def test_a_body_that_is_too_large_is_not_read(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                               b"Content-Length: 99999999999\r\n\r\n{")
            self.assertIn(b" 413 ", connection.recv(4096))

    def test_bytes_that_are_no_http_do_no_harm(self):
        for data in (b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"GET " + b"a" * 100000 + b"\r\n\r\n",
                     b"POST /v1/completions HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                     b"POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
                     b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 20000 + b"\r\n\r\n", b""):
            with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
                with contextlib.suppress(OSError):
                    connection.sendall(data)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(4096):
                        pass
        self.assertEqual(self.request("GET", "/health")[0], 200)

    def post_bytes(self, **body):
        data = json.dumps(body).encode()
        return (b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: " + str(len(data)).encode() + b"\r\n\r\n" + data)

    def test_a_client_that_reads_nothing_holds_nobody_up(self):
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # a megabyte of events will not fit
            lazy.settimeout(30)
            lazy.connect(("127.0.0.1", self.port))
            lazy.sendall(self.post_bytes(prompt="A", max_tokens=290, temperature=1, stream=True, n=16))
            for _ in range(3):
                self.assertEqual(self.ask("/v1/completions", prompt="A", max_tokens=4)["usage"]["completion_tokens"], 4)
            self.assertIn(b" 200 ", lazy.recv(1000))

    def test_a_client_that_sends_in_drops_is_waited_for(self):
        data = self.post_bytes(prompt="A library for", max_tokens=2)
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as slow:
            for i in range(0, len(data), 40):
                slow.sendall(data[i:i + 40])
                self.ask("/v1/completions", prompt="A", max_tokens=1)
            self.assertIn(b" 200 ", slow.recv(4096))

    def test_a_client_that_goes_away_ends_its_answer(self):
        body = json.dumps({"prompt": "A", "max_tokens": 290, "temperature": 1, "stream": True, "n": 16}).encode()
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                               b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body)
            connection.recv(1000)
        self.ask("/v1/completions", prompt="A", max_tokens=1)


class ServeEndTest(ServeCase):
    def tearDown(self):
        pass

    def test_signals_end_it_in_order(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process, facts = self.start()
            port = int(facts["url"].rsplit(":", 1)[1])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            body = json.dumps({"prompt": "A", "max_tokens": 290, "n": 16, "stream": True, "temperature": 1})
            connection.request("POST", "/v1/completions", body, JSON)
            connection.getresponse().read(10)
            process.send_signal(number)
            self.assertEqual(process.wait(timeout=60), 0, process.stderr.read())
            self.assertEqual(process.stderr.read(), "")
            connection.close()
            process.stdout.close()
            process.stderr.close()

    def ask_and_end(self, num_answers, *words):
        """What a client reads whose answer has begun when the server is told to end."""
        process, facts = self.start(*words)
        port = int(facts["url"].rsplit(":", 1)[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        body = json.dumps({"prompt": "A", "max_tokens": 290, "stream": True, "temperature": 1, "seed": 3,
                           "n": num_answers})
        connection.request("POST", "/v1/completions", body, JSON)
        response = connection.getresponse()
        text = response.readline()
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(http.client.IncompleteRead):
            while line := response.readline():
                text += line
        connection.close()
        self.assertEqual(process.wait(timeout=60), 0)
        process.stdout.close()
        process.stderr.close()
        with self.assertRaises(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        return text

    def test_an_answer_ends_before_the_server_does(self):
        self.assertTrue(self.ask_and_end(1, "--grace", 60).rstrip().endswith(b"data: [DONE]"))

    def test_no_answer_holds_the_server_up_for_longer_than_the_grace(self):
        self.assertNotIn(b"[DONE]", self.ask_and_end(16, "--grace", 0))

    def test_what_it_cannot_have_is_one_clear_line(self):
        port = self.facts["url"].rsplit(":", 1)[1]
        self.refused(1, f"--port {port}: cannot be had", "serve", self.model, "--port", port)
        self.refused(1, "no such folder", "serve", self.model / "none")
        self.refused(2, "--port", "serve", "--port", "70000")

    def test_a_model_without_a_template_completes_but_does_not_chat(self):
        process = subprocess.Popen([BINARY, "serve", "--port", "0"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        line = process.stdout.readline()
        self.port = int(line.split("/v1;")[0].rsplit(":", 1)[1])
        self.ask("/v1/completions", prompt="A", max_tokens=1)
        status, text = self.request("POST", "/v1/chat/completions",
                                    '{"messages": [{"role": "user", "content": "a"}]}')
        self.assertEqual(status, 400)
        self.assertIn("no chat template", json.loads(text)["error"]["message"])


if __name__ == "__main__":
    unittest.main()
