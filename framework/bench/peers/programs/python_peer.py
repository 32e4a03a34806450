# SPDX-License-Identifier: Apache-2.0
"""Times one Python package for `tessera bench ops --peers`.

Usage: python_peer.py torch|onnxruntime|openvino

Answers lines of JSON: {"op": ...} with {"ready": what it does} or {"refused":
why}, {"batch_ns": T} with {"ns": of one op, "ops": how many}. The first line,
unasked, is {"name": ...} or {"missing": true}. Each result is checked before it
is timed.
"""

import ctypes
import json
import math
import os
import signal
import sys
import time

ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what a package prints is no answer


class Refused(Exception):
    pass


def answer(**words):
    ANSWERS.write(json.dumps(words) + "\n")
    ANSWERS.flush()


def copies(case, weight_bytes):
    """How many weights a cold case takes in turn."""
    return max(1, math.ceil(case["cold_bytes"] / weight_bytes))


def random_matrix(numpy, rows, columns, seed):
    rng = numpy.random.default_rng(seed)
    return rng.standard_normal((rows, columns), dtype=numpy.float32)


def check(numpy, found, x, w, tolerance):
    """Some rows of x w^T, against sums in double."""
    for row in {0, len(x) - 1}:
        exact = w[:64].astype(numpy.float64) @ x[row].astype(numpy.float64)
        size = numpy.abs(w[:64]).astype(numpy.float64) @ numpy.abs(x[row])
        error = numpy.abs(found[row][:64].astype(numpy.float64) - exact)
        if not (error <= tolerance * size).all():
            raise Refused("its result is wrong")


class Torch:
    TYPES = {"f32": "float32", "bf16": "bfloat16", "w16a16": "float16", "f16": "float16"}

    def __init__(self):
        import torch
        self.torch = torch
        self.name = f"torch {torch.__version__.split('+')[0]}"
        torch.set_grad_enabled(False)

    def make(self, case):
        self.torch.set_num_threads(case["threads"])
        if case["op"] == "attention":
            return self.attention(case)
        if case["op"] != "linear":
            raise Refused(f"no {case['op']} here")
        if case["scheme"] == "w8a8_dynamic":
            return self.dynamic(case)
        if case["scheme"] not in self.TYPES:
            raise Refused(f"no {case['scheme']} product")
        torch = self.torch
        dtype = getattr(torch, self.TYPES[case["scheme"]])
        M, N, K = case["M"], case["N"], case["K"]
        x = torch.randn(M, K).to(dtype)
        w = torch.randn(N, K).to(dtype)
        count = copies(case, N * K * w.element_size())
        weights = [w] + [w.clone() for _ in range(count - 1)]
        product = torch.nn.functional.linear
        check(numpy_of(), product(x, w).float().numpy(), x.float().numpy(),
              w.float().numpy(), 1e-5 if case["scheme"] == "f32" else 0.02)
        return lambda i: product(x, weights[i % count]), f"linear, {dtype}"

    def dynamic(self, case):
        torch = self.torch
        M, N, K = case["M"], case["N"], case["K"]
        x, w = torch.randn(M, K), torch.randn(N, K)
        codes = torch.quantize_per_channel(
            w, w.abs().amax(1) / 127.0, torch.zeros(N), 0, torch.qint8)
        count = copies(case, N * K)
        packed = [torch.ops.quantized.linear_prepack(codes, None) for _ in range(count)]
        product = torch.ops.quantized.linear_dynamic
        check(numpy_of(), product(x, packed[0]).numpy(), x.numpy(),
              codes.dequantize().numpy(), 0.05)
        return (lambda i: product(x, packed[i % count]),
                f"linear_dynamic, {torch.backends.quantized.engine}")

    def attention(self, case):
        torch = self.torch
        if case["kv"] not in self.TYPES:
            raise Refused(f"no attention over a {case['kv']} cache")
        dtype = getattr(torch, self.TYPES[case["kv"]])
        B, L, S = case["batch"], case["q_len"], case["kv_len"]
        heads, kv_heads, D = case["heads"], case["kv_heads"], case["head_dim"]
        q = torch.randn(B, heads, L, D).to(dtype)
        k, v = (torch.randn(B, kv_heads, S, D).to(dtype) for _ in range(2))
        count = copies(case, 2 * k.numel() * k.element_size())
        caches = [(k, v)] + [(k.clone(), v.clone()) for _ in range(count - 1)]
        words = {"enable_gqa": True} if heads != kv_heads else {}
        if L > 1 and L == S:
            words["is_causal"] = True
        elif L > 1:
            words["attn_mask"] = torch.ones(L, S, dtype=torch.bool).tril(S - L)
        function = torch.nn.functional.scaled_dot_product_attention

        def run(i):
            keys, values = caches[i % count]
            return function(q, keys, values, **words)

        found = run(0)[0, 0, L - 1].double()
        scores = k[0, 0].double() @ q[0, 0, L - 1].double() / math.sqrt(D)
        exact = torch.softmax(scores, 0) @ v[0, 0].double()
        if not torch.allclose(found, exact, rtol=0.05, atol=0.05):
            raise Refused("its result is wrong")
        return run, f"scaled_dot_product_attention, {dtype}"


class OnnxRuntime:
    def __init__(self):
        import onnx
        import onnxruntime
        self.onnx, self.runtime = onnx, onnxruntime
        self.name = f"onnxruntime {onnxruntime.__version__}"

    def make(self, case):
        if case["op"] != "linear":
            raise Refused(f"no {case['op']} here")
        numpy = numpy_of()
        M, N, K = case["M"], case["N"], case["K"]
        x = random_matrix(numpy, M, K, 1)
        w = random_matrix(numpy, N, K, 2)
        if case["scheme"] == "f32":
            node, constants, bytes_ = self.float_node(w)
        elif case["scheme"] == "w8a8_dynamic":
            node, constants, bytes_, w = self.dynamic_node(numpy, w)
        else:
            raise Refused(f"no {case['scheme']} product")
        model = self.model(node, constants, M, N, K)
        sessions = [self.session(model, case["threads"])
                    for _ in range(copies(case, bytes_))]

        def run(i):
            return sessions[i % len(sessions)].run(None, {"x": x})

        check(numpy, run(0)[0], x, w, 1e-5 if case["scheme"] == "f32" else 0.05)
        return run, node.op_type

    def float_node(self, w):
        helper, numpy_helper = self.onnx.helper, self.onnx.numpy_helper
        constants = [numpy_helper.from_array(w.T.copy(), "w")]
        return helper.make_node("MatMul", ["x", "w"], ["y"]), constants, w.nbytes

    def dynamic_node(self, numpy, w):
        scale = numpy.float32(numpy.abs(w).max() / 127.0)
        codes = numpy.rint(w / scale).astype(numpy.int8)
        from_array = self.onnx.numpy_helper.from_array
        constants = [from_array(codes.T.copy(), "w"), from_array(numpy.array(scale), "scale"),
                     from_array(numpy.array(0, dtype=numpy.int8), "zero")]
        node = self.onnx.helper.make_node(
            "DynamicQuantizeMatMul", ["x", "w", "scale", "zero"], ["y"], domain="com.microsoft")
        return node, constants, codes.nbytes, codes.astype(numpy.float32) * scale

    def model(self, node, constants, M, N, K):
        helper, kind = self.onnx.helper, self.onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            [node], "linear", [helper.make_tensor_value_info("x", kind, [M, K])],
            [helper.make_tensor_value_info("y", kind, [M, N])], constants)
        sets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=sets)
        model.ir_version = 8
        return model.SerializeToString()

    def session(self, model, threads):
        options = self.runtime.SessionOptions()
        options.intra_op_num_threads = threads
        return self.runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class OpenVino:
    PRECISIONS = {"f32": "f32", "bf16": "bf16", "w8a16": "f32"}

    def __init__(self):
        import openvino
        self.openvino = openvino
        self.name = f"openvino {openvino.__version__.split('-')[0]}"
        self.core = openvino.Core()

    def make(self, case):
        if case["op"] != "linear":
            raise Refused(f"no {case['op']} here")
        scheme = case["scheme"]
        if scheme not in self.PRECISIONS:
            raise Refused(f"no {scheme} product")
        numpy = numpy_of()
        M, N, K = case["M"], case["N"], case["K"]
        x = random_matrix(numpy, M, K, 1)
        w = random_matrix(numpy, N, K, 2)
        codes = numpy.rint(w * 30.0).clip(-127, 127).astype(numpy.int8)
        if scheme == "w8a16":
            w = codes.astype(numpy.float32) / numpy.float32(30.0)
        width = {"f32": 4, "bf16": 2, "w8a16": 1}[scheme]
        requests = [self.request(x.shape, w, codes, case)
                    for _ in range(copies(case, N * K * width))]

        def run(i):
            return requests[i % len(requests)].infer({0: x}, share_inputs=True)

        found = next(iter(run(0).values()))
        check(numpy, found, x, w, 1e-5 if scheme == "f32" else 0.03)
        return run, f"MatMul, {scheme}"

    def request(self, shape, w, codes, case):
        numpy, ops = numpy_of(), self.openvino.opset13
        x = ops.parameter(list(shape), numpy.float32)
        if case["scheme"] == "w8a16":
            scale = numpy.full((len(codes), 1), 1.0 / 30.0, numpy.float32)
            weight = ops.multiply(ops.convert(ops.constant(codes), "f32"), ops.constant(scale))
        else:
            weight = ops.constant(w)
        model = self.openvino.Model([ops.matmul(x, weight, False, True)], [x])
        return self.core.compile_model(model, "CPU", {
            "INFERENCE_NUM_THREADS": case["threads"], "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": self.PRECISIONS[case["scheme"]],
        }).create_infer_request()


def numpy_of():
    import numpy
    return numpy


class Timer:
    """Runs a case in batches."""

    def __init__(self, run):
        self.run = run
        self.turn = 0
        self.batch(2)

    def batch(self, count):
        begin = time.perf_counter_ns()
        for _ in range(count):
            self.run(self.turn)
            self.turn += 1
        return time.perf_counter_ns() - begin

    def sample(self, batch_ns):
        count, ns = 0, 0
        step = 1
        while ns < batch_ns:
            ns += self.batch(step)
            count += step
            left = (batch_ns - ns) * count / max(ns, 1)
            step = int(min(max(left, 1), 100 * count))
        return ns / count, count


def main():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # ends with its parent, even halted
    try:
        kinds = {"torch": Torch, "onnxruntime": OnnxRuntime, "openvino": OpenVino}
        peer = kinds[sys.argv[1]]()
    except ImportError:
        answer(missing=True)
        return
    answer(name=peer.name)
    timer = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "batch_ns" in request:
                ns, count = timer.sample(request["batch_ns"])
                answer(ns=ns, ops=count)
                continue
            timer = None  # gives back the memory of the case before
            run, what = peer.make(request)
            timer = Timer(run)
            answer(ready=what)
        except Refused as reason:
            answer(refused=str(reason))
        except Exception as error:  # whatever a package throws is its refusal
            answer(refused=(str(error) or type(error).__name__).splitlines()[0][:200])


main()
